"""Search every text file that git tracks or would track for words that the project does not use.

`python tests/words.py` exits with 1 and prints a line for each word found; without git it prints one line that says so.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Two words may also be joined by "-" or "_"; the endings are those of English verbs.
WORDS = re.compile(
    r"(?<![a-z])(anew|whoever|nobody|somebody|mend(?:s|ed|ing)?|for[ _-]ever|is[ _-](?:said|told)|that[ _-]there[ _-]is"
    r"|what[ _-]is[ _-]to[ _-]be)(?![a-z])",
    re.IGNORECASE,
)
NOT_OURS = re.compile(r"(^|/)(LICENSE|[^/]*\.lock|package-lock\.json)$")


def project_files() -> list[str]:
    """Return the project's files, tracked or new, relative to the root; [] where there is no git."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
        )
    except OSError:
        return []
    return [path for path in listed.stdout.decode("utf-8", "surrogateescape").split("\0") if path]


def found_words(paths: list[str]) -> Iterator[tuple[str, int, str]]:
    """Yield (path, line number, word) of each word in these files; binary files are skipped."""
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
    """Print each word found; return the exit code."""
    paths = project_files()
    if not paths:
        print("Words were not checked: this folder is not a git repository.")
        return 0
    found = [
        f"{path}:{number}: the project does not use “{word}”; rephrase" for path, number, word in found_words(paths)
    ]
    print(*found, f"{len(found)} words to replace in {len(paths)} files.", sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
