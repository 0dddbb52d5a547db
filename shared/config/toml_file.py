"""Reads studio.toml in the encodings that editors write, and finds the line that sets a setting."""

import codecs
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from shared.errors import StudioError

TOML = "studio.toml"
# UTF-32 before UTF-16: its byte order mark begins with that of UTF-16.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SAVE = "save it as UTF-8"
PLACE = re.compile(r"(?s)(.*?)\s*\(at (?:line (\d+), column \d+|end of document)\)")
HEADING = re.compile(r"\s*\[+([^]]+)]")
KEY = re.compile(r"\s*((?:[\"']?[A-Za-z0-9_-]+[\"']?\s*\.?\s*)+)=")


def toml_data() -> dict[str, Any]:
    """Return the content of studio.toml in the working directory, empty if there is no such file.

    Raises StudioError with one sentence that names the line and the setting.
    """
    text = toml_text()
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = PLACE.fullmatch(str(error))
        reason = found[1] if found else str(error)
        number = int(found[2]) if found and found[2] else text.rstrip("\n").count("\n") + 1
        raise StudioError(
            f'{_place(text, number)}: {reason}; write settings like fps = 25 or avatar = "mine", each once.'
        ) from None


def toml_text() -> str:
    """Return studio.toml as text with line feeds, "" if there is no such file. Raises StudioError."""
    path = Path(TOML)
    if path.is_dir():
        raise StudioError(
            f"{path.absolute()} is a folder, but must be the settings file; move the folder, or start the studio in "
            "another one."
        )
    if path.is_symlink() and not path.exists():
        raise StudioError(f"{path.absolute()} is a link to a file that does not exist; correct it, or remove it.")
    if not path.is_file():
        return ""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StudioError(f"{path.absolute()} cannot be read ({error.strerror}); make it readable.") from None
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "replace")
        line = _line_feeds(data.decode(encoding, "replace"))
        raise StudioError(
            f"{_place(line, _line_feeds(before).count(chr(10)) + 1)}, is not text in UTF-8; {SAVE}."
        ) from None
    if "\0" in text:
        raise StudioError(
            f"{TOML} is not UTF-8 text: it is UTF-16 without a byte order mark, or not text at all; {SAVE}."
        )
    return _line_feeds(text)


def line_of(path: Sequence[str], text: str | None = None) -> int:
    """Return the number of the line that sets the key `path`, else its closest parent; 0 if there is neither.

    text: content of the file, which is read if None.
    """
    best, found = 0, 0
    for number, keys in _keys(toml_text() if text is None else text):
        if len(keys) > best and tuple(path[: len(keys)]) == keys:
            best, found = len(keys), number
    return found


def _place(text: str, number: int) -> str:
    """The file, the line and the setting on that line, as words for a sentence."""
    setting = ".".join(next((keys for line, keys in _keys(text) if line == number), ()))
    return f"{TOML}, line {number}" + (f", setting '{setting}'" if setting else "")


def _keys(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield number and full key of each line that begins a table or sets a key."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        if heading := HEADING.match(line):
            table = _parts(heading[1])
            yield number, table
        elif key := KEY.match(line):
            yield number, table + _parts(key[1])


def _parts(key: str) -> tuple[str, ...]:
    return tuple(part.strip(" \t\"'") for part in key.split("."))


def _line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
