"""Uploaded drivers: kept under a number, with the name that their owner gave them in a file beside each."""

import re
from pathlib import Path

from shared.runtime.shown_text import one_line

UPLOAD = re.compile(r"[0-9a-f]{16}")
LONGEST_TITLE = 80  # characters
TITLE_SUFFIX = ".txt"  # of the file that holds the name


def upload_title(path: Path) -> str:
    """The name its owner gave an uploaded driver."""
    try:
        with path.with_suffix(TITLE_SUFFIX).open(encoding="utf-8") as file:
            return one_line(file.read(LONGEST_TITLE), LONGEST_TITLE) or path.stem
    except (OSError, ValueError):
        return path.stem


def in_owners_words(sentence: str, path: Path | None) -> str:
    """A sentence that calls a file by its name, with the name that its owner knows it by where it was uploaded."""
    if path is None or not UPLOAD.fullmatch(path.stem):
        return sentence
    return sentence.replace(path.name, upload_title(path))
