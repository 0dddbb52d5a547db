"""The documentation: links and anchors have targets, `studio` commands exist, each page is near the README."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from cli.app import app

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
MOST_LINES = 130  # in the README
MOST_CLICKS = 2  # from the README to a page of docs/
FENCE = re.compile(r"^ *```.*?^ *```[^\n]*$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^(?: {4,}|\t)\S.*\n?)+", re.MULTILINE)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^()\s]+)\)")
COMMAND = re.compile(r"(?<![\w./@:-])(?:\.venv/bin/)?studio((?: [^\s]+)+)")
COMMENT = re.compile(r"(?:^|\s)#\s.*")
END_OF_COMMAND = re.compile(r" {2,}|\s[;|>]|&&")


@cache
def pages() -> list[Path]:
    """Return every Markdown file of the project, without those of downloaded weights and packages."""
    rooms = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    found = [page for room in rooms if room.name != "pretrained_weights" for page in room.rglob("*.md")]
    ours = (
        page
        for page in found
        if not any(part.startswith(".") or part == "node_modules" for part in page.relative_to(ROOT).parts)
    )
    return [*ROOT.glob("*.md"), ROOT / "pretrained_weights" / "README.md", *ours]


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def links(page: Path) -> list[str]:
    """Return the targets of a page's links to the project's own files and headings."""
    prose = SPAN.sub(lambda span: "`" + "x" * len(span[1]) + "`", FENCE.sub("", text_of(page)))
    return [target for target in LINK.findall(prose) if not re.match(r"[a-z]+:", target)]


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#{1,6} +(.+?) *$", FENCE.sub("", text_of(page)), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return frozenset(re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain)


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words after `studio` of each command on the page, in fenced and indented blocks and in code spans."""
    text = text_of(page).replace("\\\n", " ")
    blocks = [match[0] for match in FENCE.finditer(text)]
    prose = FENCE.sub("", text)
    blocks += [match[0] for match in INDENTED.finditer(prose)] if page.name != "CHANGELOG.md" else []
    # Several spaces before an option only align it; elsewhere they separate the command from a remark.
    lines = [re.sub(r" +(?=--)", " ", line.strip()) for block in blocks for line in block.splitlines()]
    for line in [*lines, *SPAN.findall(prose)]:
        for found in COMMAND.finditer(COMMENT.sub("", line).replace("\\|", "|")):
            yield END_OF_COMMAND.split(found[1])[0].split()


def wrong(words: list[str]) -> str:
    """Return the first name in the command line that does not exist; "" where all exist."""
    place = typer.main.get_command(app)
    while words and isinstance(place, TyperGroup):
        group, (word, *words) = place, words
        if word.startswith("-"):
            return word
        if unknown := [name for name in word.split("|") if name not in group.commands]:
            return unknown[0]
        place = group.commands[word.split("|")[0]]
    known = {name for one in place.params for name in (*one.opts, *one.secondary_opts)}
    given = [word.split("=")[0].rstrip(".,") for word in words if word.startswith("--")]
    return next((name for name in given if name not in {*known, "--help"}), "")


def test_links_and_anchors_lead_somewhere() -> None:
    broken, count = [], 0
    for page in pages():
        for target in links(page):
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            count += 1
            if not there.exists() or (anchor and anchor not in anchors(there)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert count > 100
    assert broken == []


def test_every_page_is_at_most_two_clicks_from_the_readme() -> None:
    reached = front = {ROOT / "README.md"}
    for _ in range(MOST_CLICKS):
        targets = {(page.parent / target.partition("#")[0]).resolve() for page in front for target in links(page)}
        front = {target for target in targets if target.suffix == ".md" and target.is_file()}
        reached = reached | targets
    ours = {path for path in (ROOT / "docs").rglob("*") if path.is_file()}
    assert len(ours) > 20
    assert sorted(str(path.relative_to(ROOT)) for path in ours - reached) == []


def test_every_studio_command_exists_with_its_options() -> None:
    found = [(page.relative_to(ROOT).as_posix(), words) for page in pages() for words in commands(page)]
    assert len(found) > 100
    assert [f"{page}: studio {' '.join(words)}" for page, words in found if wrong(words)] == []


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("jobs submit --wait", ""),
        ("jobs list|show --json", ""),
        ("jobs list|shew", "shew"),
        ("render --no-label --option region=lip", ""),
        ("render --mp4", "--mp4"),
        ("broadcast", "broadcast"),
    ],
)
def test_a_command_that_does_not_exist_is_named(line: str, name: str) -> None:
    assert wrong(line.split()) == name


def test_the_readme_is_short() -> None:
    assert len(text_of(ROOT / "README.md").splitlines()) <= MOST_LINES
