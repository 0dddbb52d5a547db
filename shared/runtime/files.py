"""File writes that are complete or absent, paths as text, hashes and checks of output paths."""

import hashlib
import os
import re
import secrets
from pathlib import Path

from shared.errors import StudioError

# Where a file's name itself contains the characters of such an escape, the backslash is escaped (\udc5c), so that
# `text_path` restores every path.
BYTE_ESCAPE = re.compile(r"\\(udc(?:5c|[89a-f][0-9a-f]))")
ESCAPED_BYTE = re.compile(rb"\\udc(5c|[89a-f][0-9a-f])")


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a temporary file beside `path`, then rename it to `path`. Raises OSError, with the old file unchanged."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(content)
        part.rename(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def flush_to_disk(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk and survive a power cut. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def path_text(path: Path) -> str:
    r"""Return a path as text that every locale, JSON and msgpack can represent.

    The path's bytes are decoded as UTF-8. Each byte that is not valid UTF-8 becomes the escape that
    `shared.runtime.shown_text` shows for it, such as \udcfc.
    """
    text = os.fsencode(path).decode(errors="surrogateescape")
    return BYTE_ESCAPE.sub(r"\\udc5c\1", text).encode(errors="backslashreplace").decode()


def text_path(text: str) -> Path:
    """Return the path that `path_text` turned into text, in this process's locale."""
    try:
        plain = text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # not from a path: a surrogate that encodes no byte
        plain = text.encode(errors="replace")
    return Path(os.fsdecode(ESCAPED_BYTE.sub(lambda found: bytes([int(found[1], 16)]), plain)))


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_output(source: Path, out: Path) -> None:
    """Raise StudioError if `out` would replace `source` or cannot be written; called before the work starts."""
    if out.exists() and source.exists() and out.samefile(source):
        raise StudioError("The output would replace the driver; choose another name.")
    probe = out.absolute().with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StudioError(f"{out} cannot be written ({error.strerror}); choose another place.") from None
