"""A service's data folder: the files of its tasks, and beside them the studio's records, which outlive every process.

A record is written, and on the disk, before the step that it is about; so a process that takes over knows what has
happened. The process that holds the folder's lock is the only one that talks to the service: one task at a time, one
poller.
"""

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from shared.errors import NoSpaceError, StudioError
from shared.runtime.file_lock import open_lock, try_lock
from shared.runtime.files import flush_to_disk

TEMP, BOOK = "temp", "persona-studio"  # the service's own folder for files, and the studio's for records
KEEP_S = 7 * 86400.0  # for which what a task has made waits for its job
BLOCK_BYTES = 4 << 20
PART = ".part"

Stage = Literal["sent", "accepted", "done", "failed"]
ENDED: frozenset[Stage] = frozenset({"done", "failed"})


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """What is known of a task.

    stage: sent, perhaps in vain; accepted; or how it ended. seconds: of its speech. result: the service's name of the
    file. said: why it failed, a sentence.
    """

    code: str
    stage: Stage
    seconds: float
    result: str = ""
    said: str = ""


class DataFolder:
    """One service's folder, as this machine sees it.

    Every method raises StudioError where the disk does not do it, NoSpaceError where it is full.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.temp, self._book = path, path / TEMP, path / BOOK

    def problem(self) -> str:
        """Why it cannot be used, the end of a sentence; "" where it can."""
        if not self.path.is_dir():
            return "is not there"
        where = self.temp if self.temp.exists() else self.path
        return "" if os.access(where, os.W_OK | os.X_OK) else "cannot be written"

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Whether the lock is this process's inside the block. It ends with the process, however that ends."""
        with self._disk():
            self._book.mkdir(mode=0o700, exist_ok=True)
            file = open_lock(self._book / "lock")
        try:
            yield try_lock(file)
        finally:
            os.close(file)

    def record(self, code: str) -> TaskRecord | None:
        """What is known of a task."""
        path = self._book / f"{code}.json"
        with self._disk():
            try:
                return TaskRecord(**json.loads(path.read_bytes()))
            except FileNotFoundError:
                return None
            except (ValueError, TypeError):
                raise StudioError(f"{path} is damaged; delete it, and the job starts over.") from None

    def write(self, record: TaskRecord) -> None:
        """Record that a task was sent; the record is on the disk when this returns."""
        path = self._book / f"{record.code}.json"
        part = path.with_suffix(PART)
        with self._disk():
            part.write_text(json.dumps(asdict(record)), encoding="utf-8")
            flush_to_disk(part)
            os.replace(part, path)
            flush_to_disk(self._book)

    def strike(self, code: str) -> None:
        """Forget that a task was sent; its files stay."""
        with self._disk():
            (self._book / f"{code}.json").unlink(missing_ok=True)
            flush_to_disk(self._book)

    def open_tasks(self) -> list[str]:
        """Codes of the tasks whose end is not known, the oldest first."""
        with self._disk():
            found = sorted(self._book.glob("*.json"), key=lambda path: (path.stat().st_mtime, path.name))
        records = [record for path in found if (record := self.record(path.stem)) is not None]
        return [record.code for record in records if record.stage not in ENDED]

    def clean(self, code: str) -> None:
        """Remove everything of a task: its files, then its record.

        Does nothing where nothing is left, or the folder is not here.
        """
        with self._disk():
            for path in self.temp.glob(f"{code}*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            if self._book.is_dir():
                (self._book / f"{code}{PART}").unlink(missing_ok=True)
                self.strike(code)

    def sweep(self) -> None:
        """Remove ended tasks that no job has come for in a week: cancelled ones, mostly."""
        with self._disk():
            old = [path for path in self._book.glob("*.json") if time.time() - path.stat().st_mtime > KEEP_S]
        for path in old:
            if (record := self.record(path.stem)) is not None and record.stage in ENDED:
                self.clean(record.code)

    def put(self, source: Path, name: str, ask: Callable[[], None]) -> None:
        """Copy a file into the service's temp folder, whole or not at all.

        ask: called between blocks; what it raises ends it.
        """
        target = self.temp / name
        with self._disk():
            self.temp.mkdir(exist_ok=True)
            if target.is_file() and target.stat().st_size == source.stat().st_size:
                return  # of a try before
            part = target.with_name(name + PART)
            copy_file(source, part, ask)
            os.replace(part, target)

    def result(self, code: str) -> Path | None:
        """The finished video of a task, if it is in the folder itself; a link to elsewhere does not count."""
        path = self.temp / result_name(code)
        return path if path.is_file() and path.resolve().parent == self.temp.resolve() else None

    def growth(self, code: str) -> int:
        """Bytes of what the service has written of a video that it is making."""
        try:
            return (self.temp / f"{code}-t.mp4").stat().st_size
        except OSError:
            return 0

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpaceError(f"There is no space left in {self.path}; free some and the job continues.") from None
            raise StudioError(
                f"The service's data folder {self.path} cannot be used ({error.strerror}); check the setting "
                "duix.services."
            ) from None


def result_name(code: str) -> str:
    """The only name that a task's finished video may have."""
    return f"{code}-r.mp4"


def copy_file(source: Path, target: Path, ask: Callable[[], None]) -> None:
    """Copy in blocks, calling `ask` after each. Raises OSError, and what `ask` raises."""
    with source.open("rb") as read, target.open("wb") as write:
        while block := read.read(BLOCK_BYTES):
            write.write(block)
            ask()
