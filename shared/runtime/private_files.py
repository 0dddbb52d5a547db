"""Keeps the studio's files private to their owner, except outputs that a user names, which follow the user's umask.

The `studio` command calls `keep_files_private` before anything else; the processes that it starts inherit the umask and
the variable.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PRIVATE_UMASK = 0o077
USERS_UMASK = "PERSONA_STUDIO_UMASK"  # variable with the umask under which the command was started, in octal


def keep_files_private() -> None:
    """Set the umask so that files written from now on, also by child processes, are readable by this user alone.

    The previous umask is kept for `share`.
    """
    before = os.umask(PRIVATE_UMASK)
    os.environ.setdefault(USERS_UMASK, f"{before:03o}")


def close_to_others(folder: Path) -> None:
    """Remove the permissions of group and others from a folder, which closes everything in it to them.

    Does nothing if the folder is missing, belongs to another user, has the sticky bit (such as /tmp) or is on a
    read-only disk.
    """
    try:
        found = folder.stat()
        if found.st_uid == os.getuid() and found.st_mode & 0o077 and not found.st_mode & stat.S_ISVTX:
            folder.chmod(found.st_mode & 0o700)
    except OSError:
        pass


def share(path: Path) -> None:
    """Give a file that a user has named the permissions that their umask allows.

    Does nothing if the file is gone or belongs to another user.
    """
    try:
        path.chmod(0o666 & ~_users_umask())
    except OSError:
        pass


@contextmanager
def as_open_as_umask() -> Iterator[None]:
    """Apply the user's umask during the block.

    For weights, which may be stored beside the program for all its users.
    """
    private = os.umask(_users_umask())
    try:
        yield
    finally:
        os.umask(private)


def _users_umask() -> int:
    try:
        return int(os.environ[USERS_UMASK], 8) & 0o777
    except (KeyError, ValueError):  # the command did not start this process, so its own umask is the user's
        now = os.umask(PRIVATE_UMASK)
        os.umask(now)
        return now
