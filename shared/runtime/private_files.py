"""Keeps the studio's files private to their owner.

This user's alone, but for outputs that a user names, which are as open as their umask says.

The command sets both up before it does anything; the processes that it starts inherit them.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PRIVATE_UMASK = 0o077
USERS_UMASK = "PERSONA_STUDIO_UMASK"  # variable with the umask that the command was started with, in octal


def keep_files_private() -> None:
    """Make what this process and its children write from now on readable by this user alone.

    The umask of before is kept for `share`.
    """
    before = os.umask(PRIVATE_UMASK)
    os.environ.setdefault(USERS_UMASK, f"{before:03o}")


def close_to_others(folder: Path) -> None:
    """Close a folder to everyone but its owner, with all that is in it; the owner's own permissions stay.

    One that is not there, is another user's, lies on a disk that cannot be written or is shared by all (/tmp) stays as
    it is.
    """
    try:
        found = folder.stat()
        if found.st_uid == os.getuid() and found.st_mode & 0o077 and not found.st_mode & stat.S_ISVTX:
            folder.chmod(found.st_mode & 0o700)
    except OSError:
        pass


def share(path: Path) -> None:
    """Open a file that a user has named as far as their umask allows.

    One that is gone, or another's, stays as it is.
    """
    try:
        path.chmod(0o666 & ~_users_umask())
    except OSError:
        pass


@contextmanager
def as_open_as_umask() -> Iterator[None]:
    """What is written within is as open as the user's umask says.

    Models that lie beside the program, for all its users.
    """
    private = os.umask(_users_umask())
    try:
        yield
    finally:
        os.umask(private)


def _users_umask() -> int:
    try:
        return int(os.environ[USERS_UMASK], 8) & 0o777
    except (KeyError, ValueError):  # no command started this process, so its own umask is the user's
        now = os.umask(PRIVATE_UMASK)
        os.umask(now)
        return now
