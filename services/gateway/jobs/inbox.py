"""The inbox: a folder in the studio's home for drivers too large to upload, whose files a request may name."""

import stat
from pathlib import Path

from services.gateway.models.jobs import InboxFile
from shared.errors import StudioError
from shared.runtime.files import path_text, text_path

LISTED = 1000
LONGEST = 255


def inbox_folder(home: Path) -> Path:
    """Return the path of the inbox."""
    return home / "inbox"


def inbox(home: Path) -> list[InboxFile]:
    """Return the files in the inbox, newest first; makes the folder if it is missing. Raises StudioError."""
    folder = inbox_folder(home)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = [(path, path.lstat()) for path in folder.iterdir() if _is_name(path.name)]
    except OSError as error:
        raise StudioError(
            f"The inbox {folder} cannot be read ({error.strerror}); check the folder on the studio's machine."
        ) from None
    files = [(path.name, about) for path, about in found if stat.S_ISREG(about.st_mode)]
    files.sort(key=lambda file: file[1].st_mtime, reverse=True)
    return [
        InboxFile(name=path_text(Path(name)), bytes=about.st_size, modified=about.st_mtime)
        for name, about in files[:LISTED]
    ]


def inbox_file(home: Path, name: str) -> Path:
    """Return the path of the inbox file with this name.

    Raises StudioError for anything but a regular file directly in the inbox: a path, a link, a device, a missing file.
    """
    called = "" if {"\0", "/"} & set(name) else str(text_path(name))
    path = inbox_folder(home) / called if _is_name(called) else None
    try:
        if path is not None and stat.S_ISREG(path.lstat().st_mode):
            return path
    except OSError:
        pass
    raise StudioError("There is no such file in the inbox; give a name that GET /api/v1/inbox lists, without a folder.")


def _is_name(name: str) -> bool:
    plain = path_text(Path(name)).isprintable() and "/" not in name and not name.startswith(".")
    return plain and 0 < len(name.encode("utf-8", "surrogateescape")) <= LONGEST
