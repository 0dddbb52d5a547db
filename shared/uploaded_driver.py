"""Names of uploaded drivers: each is stored under a random hex name, with the user's name for it in a text file."""

import re
from pathlib import Path

from shared.runtime.shown_text import one_line

UPLOAD = re.compile(r"[0-9a-f]{16}")
LONGEST_TITLE = 80  # characters
TITLE_SUFFIX = ".txt"  # of the file that contains the user's name for the upload


def upload_title(path: Path) -> str:
    """Return the user's name for an uploaded driver, or the file's stem if that is missing."""
    try:
        with path.with_suffix(TITLE_SUFFIX).open(encoding="utf-8") as file:
            return one_line(file.read(LONGEST_TITLE), LONGEST_TITLE) or path.stem
    except (OSError, ValueError):
        return path.stem


def in_owners_words(sentence: str, path: Path | None) -> str:
    """Return a sentence with the stored name of an uploaded file replaced by the user's name for it."""
    if path is None or not UPLOAD.fullmatch(path.stem):
        return sentence
    return sentence.replace(path.name, upload_title(path))
