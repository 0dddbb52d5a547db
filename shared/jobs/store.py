"""The job store: a folder on this machine, on the network, or in an object store.

All coordination between machines is built on two operations of a store: `write`, which is atomic, and `create`, which
succeeds for exactly one of several concurrent callers. No clock is involved.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, cast

from shared.config.cache_dir import cache_folder
from shared.errors import NoSpaceError, StudioError
from shared.runtime.files import flush_to_disk

REMOVE_TRIES = 20  # attempts to remove a folder in which other processes are still writing


class Store(Protocol):
    """Files by name, below one root.

    A name is a relative path with forward slashes. All methods raise StudioError if the store cannot be reached or
    written, NoSpaceError if it is full.
    """

    url: str

    def read(self, name: str) -> bytes | None:
        """A file's content, None where there is no such file."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Create or replace a file atomically: a reader sees either the old content or the new."""
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Create a file; return False if it exists already. Of several concurrent callers exactly one succeeds."""
        ...

    def put(self, source: Path, name: str) -> None:
        """Create or replace a file with the content of a local file."""
        ...

    def move_in(self, source: Path, name: str) -> None:
        """Like `put`, but moves the local file."""
        ...

    def scratch(self, name: str) -> Path:
        """Return a local path at which to make a file that `move_in` will store as `name`.

        The file is hidden, and on the store's own disk if that is local.
        """
        ...

    def fetch(self, name: str) -> Path:
        """Return the path of a local file with this content, for reading; in a local store it is the file itself.

        The content of a name that is fetched must never change. Raises StudioError if there is no such file.
        """
        ...

    def list(self, folder: str) -> list[str]:
        """The names of the files and folders in a folder, sorted; empty where there is no such folder."""
        ...

    def remove(self, name: str) -> None:
        """Delete a file, or a folder with its content; does nothing if there is none."""
        ...

    def room(self) -> int | None:
        """Return the free space in bytes, None if the store does not report it."""
        ...


def open_store(url: str) -> Store:
    """The store at a path or an fsspec URL (s3://bucket/folder, ...). Raises StudioError."""
    if "://" not in url or url.startswith("file://"):
        return LocalStore(Path(url.removeprefix("file://")).expanduser().absolute())
    return RemoteStore(url)


class LocalStore(Store):
    """A store in a folder of this machine or mounted from another.

    durable: whether files must survive a power cut; False for a store that its process removes again.
    """

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        self.root, self.url, self._durable = root, str(root), durable

    def read(self, name: str) -> bytes | None:
        with self._translated(name):
            try:
                return self._path(name).read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def write(self, name: str, content: bytes) -> None:
        with self._finished(name) as part:
            part.write_bytes(content)
            self._flush(part)
            os.replace(part, self._path(name))

    def create(self, name: str, content: bytes) -> bool:
        path = self._path(name)
        if path.exists():
            return False
        with self._finished(name) as part:
            part.write_bytes(content)
            self._flush(part)
            try:
                os.link(part, path)  # exclusive and without half-written files, on NFS too
            except FileExistsError:
                return False
        return True

    def put(self, source: Path, name: str) -> None:
        with self._finished(name) as part:
            shutil.copyfile(source, part)
            self._flush(part)
            os.replace(part, self._path(name))

    def move_in(self, source: Path, name: str) -> None:
        with self._translated(name):
            path = self._path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if source.stat().st_dev == path.parent.stat().st_dev:
                self._flush(source)
                os.replace(source, path)
                self._flush(path.parent)
                return
        self.put(source, name)
        source.unlink()

    def scratch(self, name: str) -> Path:
        path = self._path(name)
        with self._translated(name):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path.with_name(f".part-{path.name}")

    def fetch(self, name: str) -> Path:
        path = self._path(name)
        if not path.exists():
            raise StudioError(f"{path} is missing; submit the job again.")
        return path

    def list(self, folder: str) -> list[str]:
        with self._translated(folder):
            try:
                return sorted(name for name in os.listdir(self._path(folder)) if not name.startswith("."))
            except (FileNotFoundError, NotADirectoryError):
                return []

    def remove(self, name: str) -> None:
        path = self._path(name)
        with self._translated(name):
            if path.is_dir() and not path.is_symlink():
                _remove_folder(path)
            else:
                path.unlink(missing_ok=True)

    def room(self) -> int | None:
        with self._translated(""):
            self.root.mkdir(parents=True, exist_ok=True)
            return shutil.disk_usage(self.root).free

    @contextmanager
    def _finished(self, name: str) -> Iterator[Path]:
        """Yield a temporary path beside the target, removed afterwards; create the folder and flush it to disk."""
        path = self._path(name)
        part: Path | None = None
        try:
            with self._translated(name):
                path.parent.mkdir(parents=True, exist_ok=True)
                descriptor, given = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
                os.close(descriptor)
                part = Path(given)
                yield part
                self._flush(path.parent)
        finally:
            if part is not None:
                part.unlink(missing_ok=True)

    @contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _sentence(f"{self.root / name}", error) from None

    def _flush(self, path: Path) -> None:
        if self._durable:
            flush_to_disk(path)

    def _path(self, name: str) -> Path:
        return self.root / _checked(name)


class RemoteStore(Store):
    """A store in a folder that fsspec reaches.

    `create` requires that the file system supports a write on condition that the file does not exist (for S3: PUT with
    If-None-Match). Workers test this before they claim any unit.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        try:
            filesystem, root = fsspec.url_to_fs(url)
        except (ImportError, ValueError, OSError) as error:
            raise StudioError(f"The jobs cannot be kept at {url} ({error}); choose another folder or URL.") from None
        self.url, self._root, self._fs = url, str(root).rstrip("/"), cast(Any, filesystem)

    def read(self, name: str) -> bytes | None:
        with self._translated(name):
            try:
                return bytes(self._fs.cat_file(self._path(name)))
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        with self._translated(name):
            self._fs.pipe_file(self._path(name), content)

    def create(self, name: str, content: bytes) -> bool:
        with self._translated(name):
            try:
                self._fs.pipe_file(self._path(name), content, mode="create")
            except FileExistsError:
                return False
            return True

    def put(self, source: Path, name: str) -> None:
        with self._translated(name):
            self._fs.put_file(str(source), self._path(name))

    def move_in(self, source: Path, name: str) -> None:
        self.put(source, name)
        source.unlink()

    def scratch(self, name: str) -> Path:
        path = cache_folder() / "scratch" / f"{os.getpid()}" / PurePosixPath(_checked(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def fetch(self, name: str) -> Path:
        kept = cache_folder() / "fetched" / PurePosixPath(_checked(name))
        if kept.exists():
            return kept
        with self._translated(name):
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=kept.parent) as folder:
                part = Path(folder) / "part"
                try:
                    self._fs.get_file(self._path(name), str(part))
                except FileNotFoundError:
                    raise StudioError(f"{self.url}/{name} is missing; submit the job again.") from None
                os.replace(part, kept)
        return kept

    def list(self, folder: str) -> list[str]:
        with self._translated(folder):
            try:
                self._fs.invalidate_cache()
                found = self._fs.ls(self._path(folder), detail=False)
            except FileNotFoundError:
                return []
        return sorted(name for name in (str(each).rstrip("/").rsplit("/", 1)[-1] for each in found) if name)

    def remove(self, name: str) -> None:
        with self._translated(name):
            try:
                self._fs.rm(self._path(name), recursive=True)
            except FileNotFoundError:
                pass

    def room(self) -> int | None:
        return None

    @contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        _checked(name)
        try:
            yield
        except StudioError:
            raise
        except Exception as error:  # every file system behind fsspec has its own exceptions
            raise _sentence(f"{self.url}/{name}", error) from None

    def _path(self, name: str) -> str:
        return f"{self._root}/{_checked(name)}"


def _remove_folder(path: Path) -> None:
    """Remove a folder in which another process, such as a worker, may still be writing. Raises OSError."""
    for tries_left in reversed(range(REMOVE_TRIES)):
        try:
            shutil.rmtree(path)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY) or not tries_left:
                raise
        if not path.exists():
            return


def _checked(name: str) -> str:
    """Return the name unchanged. Raises ValueError for one that leads out of the store, as a last line of defence."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ValueError(f"'{name}' is not a name in a store")
    return name


def _sentence(where: str, error: Exception) -> StudioError:
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return NoSpaceError(f"There is no space left for {where}; free some and the job continues.")
    reason = getattr(error, "strerror", None) or str(error).strip().split("\n")[0] or type(error).__name__
    return StudioError(f"{where} cannot be reached ({reason}); check the jobs folder.")
