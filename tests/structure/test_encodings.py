"""Text is read and written as UTF-8, whatever the locale: every call that reads or writes text names its encoding."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    "persona_studio", "cli", "benchmarks", "harness", "services", "training", "engines", "compositing", "publishing",
    "shared",
    "tests",
)  # fmt: skip
TEXT_MODE = re.compile(r"[rwxa]t?\+?")
BYTES_BY_DEFAULT = ("NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile")
NO_FILES = (
    "av",
    "os",
    "Image",
    "wave",
    "zipfile",
    "tarfile",
    "subject",
    "self",
)  # owners of an `open` that takes no encoding


def unnamed_encodings(source: str) -> Iterator[int]:
    """Yield the lines that read or write text in the encoding of the locale."""
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        if "encoding" not in given and _is_text(call, given):
            yield call.lineno


def _is_text(call: ast.Call, given: dict[str | None, ast.expr]) -> bool:
    asked = (given.get("text"), given.get("universal_newlines"))  # of a process; any other `text=` is of no process
    if any(isinstance(each, ast.Constant) and each.value is True for each in asked):
        return True
    if isinstance(call.func, ast.Name):
        return call.func.id == "open" and _mode(call, given, 1) in ("", "text")
    if not isinstance(call.func, ast.Attribute):
        return False
    name, owner = call.func.attr, call.func.value
    if name == "open":
        known = isinstance(owner, ast.Name) and owner.id in NO_FILES
        return not known and (_mode(call, given, 0) == "text" or not (call.args or given))
    if name in BYTES_BY_DEFAULT:
        return _mode(call, given, 0) == "text"
    return (
        (name == "read_text" and not call.args)
        or (name == "write_text" and len(call.args) == 1)
        or name == "TextIOWrapper"
        or (name == "fdopen" and _mode(call, given, 1) in ("", "text"))
    )


def _mode(call: ast.Call, given: dict[str | None, ast.expr], place: int) -> str:
    """Return "text" or "bytes" for the mode of a call; "" where it is not given or not a constant."""
    mode = given.get("mode", call.args[place] if len(call.args) > place else None)
    if not isinstance(mode, ast.Constant) or not isinstance(mode.value, str):
        return ""
    return "text" if TEXT_MODE.fullmatch(mode.value) else "bytes"


def test_every_text_names_its_encoding() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for line in unnamed_encodings(path.read_text(encoding="utf-8"))
    ]
    assert not found, 'add encoding="utf-8"'


@pytest.mark.parametrize(
    "line",
    [
        "open(path)", 'open(path, "w")', 'path.open("a")', "path.open()", "path.read_text()", "path.write_text(said)",
        'subprocess.run(["x"], text=True)', "io.TextIOWrapper(raw)", 'os.fdopen(number, "w")',
        'tempfile.TemporaryFile("w+")',
    ],
)  # fmt: skip
def test_a_text_without_one_is_seen(line: str) -> None:
    assert list(unnamed_encodings(line)) == [1]
    named = line.replace("text=True", "")[:-1] + ', encoding="utf-8")'
    assert not list(unnamed_encodings(named.replace("(, ", "(").replace(", , ", ", ")))
