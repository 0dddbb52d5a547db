"""Words that the project does not use, looked for in the lines that differ from a base commit; older lines pass.

`python tests/words.py [COMMIT]` compares the working tree with COMMIT, by default with the commit where this branch left
the main one; on the main branch itself, with the commit before. Exits with 1 and a line for each word found. Says in one
line what was not checked where there is no git or no earlier commit.
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
MAIN = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
HUNK = re.compile(r"@@ -\S+ \+(\d+)")
NOT_OURS = re.compile(r"(^|/)(LICENSE|[^/]*\.lock|package-lock\.json)$")  # and the list above


def git(*arguments: str) -> str:
    """What git prints, or "" if it fails."""
    try:
        result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return result.stdout if result.returncode == 0 else ""


def base_commit() -> str:
    """The commit whose lines pass: where this branch left the main one, else the parent of HEAD, else ""."""
    head = git("rev-parse", "HEAD").strip()
    for branch in MAIN:
        fork = git("merge-base", "HEAD", branch).strip()
        if fork not in ("", head):
            return fork
    return git("rev-parse", "--verify", "--quiet", "HEAD^1").strip()


def added_lines(base: str) -> Iterator[tuple[str, int, str]]:
    """Path, number and text of each line that differs from the base, untracked files included, moved lines not."""
    diff = git(
        "-c", "core.quotePath=false", "diff", "--unified=0", "--find-renames", "--no-color", "--no-ext-diff", base
    )
    lines = diff.split("\n")
    removed = {line[1:].strip() for line in lines if line.startswith("-")}
    path, number, in_hunk = "", 0, False
    for line in lines:
        if line.startswith("diff --git "):
            in_hunk = False
        elif hunk := HUNK.match(line):
            number, in_hunk = int(hunk[1]), True
        elif not in_hunk and line.startswith("+++ "):
            path = line[4:].removeprefix("b/").rstrip("\t")
        elif in_hunk and line.startswith("+"):
            if line[1:].strip() not in removed:
                yield path, number, line[1:]
            number += 1
    for path in git("ls-files", "-z", "--others", "--exclude-standard").split("\0"):
        if path and (ROOT / path).is_file():
            text = (ROOT / path).read_text(errors="replace", encoding="utf-8")
            yield from ((path, number, line) for number, line in enumerate(text.splitlines(), 1))


def main() -> int:
    """Print each word found; the exit code."""
    top = git("rev-parse", "--show-toplevel").strip()
    if not top or Path(top).resolve() != ROOT:
        print("Words were not checked: this folder is not a git repository.")
        return 0
    base = git("rev-parse", "--verify", f"{sys.argv[1]}^{{commit}}").strip() if sys.argv[1:] else base_commit()
    if not base:
        print("Words were not checked: there is no earlier commit to compare with.")
        return 0
    own = Path(__file__).resolve().relative_to(ROOT).as_posix()
    found = [
        f"{path}:{number}: say it without “{word[0]}”"
        for path, number, line in added_lines(base)
        if path != own and not NOT_OURS.search(path)
        for word in WORDS.finditer(line)
    ]
    print(*found, f"{len(found)} words to replace in the lines changed since {base[:7]}.", sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
