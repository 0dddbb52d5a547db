"""Words that the project does not use, looked for in every text file that git tracks or would track.

`python tests/words.py` exits with 1 and a line for each word found, and says in one line where there is no git.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# With the space between two words, "-" or "_" stands for it too; endings are those of English verbs.
WORDS = re.compile(
    r"(?<![a-z])(anew|whoever|nobody|somebody|mend(?:s|ed|ing)?|for[ _-]ever|is[ _-](?:said|told)|that[ _-]there[ _-]is"
    r"|what[ _-]is[ _-]to[ _-]be)(?![a-z])",
    re.IGNORECASE,
)
NOT_OURS = re.compile(r"(^|/)(LICENSE|[^/]*\.lock|package-lock\.json)$")


def project_files() -> list[str]:
    """Paths of the project's files, tracked or new, from its root; none where there is no git."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
        )
    except OSError:
        return []
    return [path for path in listed.stdout.decode("utf-8", "surrogateescape").split("\0") if path]


def found_words(paths: list[str]) -> Iterator[tuple[str, int, str]]:
    """Path, line number and word of each one in these files; binary files have none."""
    own = Path(__file__).resolve()
    for path in paths:
        file = ROOT / path
        if NOT_OURS.search(path) or file == own or not file.is_file():
            continue
        content = file.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            for word in WORDS.finditer(line):
                yield path, number, word[0]


def main() -> int:
    """Print each word found; the exit code."""
    paths = project_files()
    if not paths:
        print("Words were not checked: this folder is not a git repository.")
        return 0
    found = [f"{path}:{number}: say it without “{word}”" for path, number, word in found_words(paths)]
    print(*found, f"{len(found)} words to replace in {len(paths)} files.", sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
