"""Files that are whole or absent."""

import hashlib
import os
import re
import secrets
from pathlib import Path

from shared.errors import StudioError

# A name that holds such an escape as its own letters has its backslash escaped, so that every path comes back.
BYTE_ESCAPE = re.compile(r"\\(udc(?:5c|[89a-f][0-9a-f]))")
ESCAPED_BYTE = re.compile(rb"\\udc(5c|[89a-f][0-9a-f])")


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write beside the target, then rename over it. Raises OSError and leaves the old file as it was."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(content)
        part.rename(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def flush_to_disk(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk and would outlive a power cut.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def path_text(path: Path) -> str:
    r"""A path as text that every locale, JSON and msgpack can have.

    Its bytes taken for UTF-8, and each that is none as the escape that `shared.runtime.shown_text` shows for it, such
    as \udcfc.
    """
    text = os.fsencode(path).decode(errors="surrogateescape")
    return BYTE_ESCAPE.sub(r"\\udc5c\1", text).encode(errors="backslashreplace").decode()


def text_path(text: str) -> Path:
    """The path that `path_text` wrote, in this process's locale."""
    try:
        plain = text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # no path: a surrogate that stands for no byte
        plain = text.encode(errors="replace")
    return Path(os.fsdecode(ESCAPED_BYTE.sub(lambda found: bytes([int(found[1], 16)]), plain)))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_output(source: Path, out: Path) -> None:
    """Raise StudioError where `out` would replace its source or cannot be written: before the work, not after it."""
    if out.exists() and source.exists() and out.samefile(source):
        raise StudioError("The output would replace the driver; choose another name.")
    probe = out.absolute().with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StudioError(f"{out} cannot be written ({error.strerror}); choose another place.") from None
