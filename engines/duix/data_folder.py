"""A service's data folder: its task files, and beside them the studio's task records, which outlive every process.

A record is flushed to disk before the step that it announces, so a process that takes over knows what has happened.
Only the process that holds the folder's lock talks to the service: one task at a time, and one process that polls.
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

TEMP, BOOK = "temp", "persona-studio"  # the service's own folder for files, and the studio's folder for records
KEEP_S = 7 * 86400.0  # how long a task's results are kept for its job
BLOCK_BYTES = 4 << 20
PART = ".part"

Stage = Literal["sent", "accepted", "done", "failed"]
ENDED: frozenset[Stage] = frozenset({"done", "failed"})


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """Known state of a task.

    stage: "sent", which the service may not have received; "accepted"; or how the task ended. seconds: length of its
        speech. result: the service's name of the result file. said: why it failed, a sentence.
    """

    code: str
    stage: Stage
    seconds: float
    result: str = ""
    said: str = ""


class DataFolder:
    """One service's data folder, as mounted on this machine.

    Every method raises StudioError if the disk operation fails, NoSpaceError if the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.temp, self._book = path, path / TEMP, path / BOOK

    def problem(self) -> str:
        """Return why the folder cannot be used, as the end of a sentence; "" if it can."""
        if not self.path.is_dir():
            return "is not there"
        where = self.temp if self.temp.exists() else self.path
        return "" if os.access(where, os.W_OK | os.X_OK) else "cannot be written"

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Context manager that tries to take the folder's lock and yields whether this process holds it.

        The operating system releases the lock when the process ends, however it ends.
        """
        with self._disk():
            self._book.mkdir(mode=0o700, exist_ok=True)
            file = open_lock(self._book / "lock")
        try:
            yield try_lock(file)
        finally:
            os.close(file)

    def record(self, code: str) -> TaskRecord | None:
        """Return the record of a task; None if there is none."""
        path = self._book / f"{code}.json"
        with self._disk():
            try:
                return TaskRecord(**json.loads(path.read_bytes()))
            except FileNotFoundError:
                return None
            except (ValueError, TypeError):
                raise StudioError(f"{path} is damaged; delete it, and the job starts over.") from None

    def write(self, record: TaskRecord) -> None:
        """Write a task's record; it is flushed to disk when this returns."""
        path = self._book / f"{record.code}.json"
        part = path.with_suffix(PART)
        with self._disk():
            part.write_text(json.dumps(asdict(record)), encoding="utf-8")
            flush_to_disk(part)
            os.replace(part, path)
            flush_to_disk(self._book)

    def strike(self, code: str) -> None:
        """Delete a task's record, as if the task had never been sent; its files remain."""
        with self._disk():
            (self._book / f"{code}.json").unlink(missing_ok=True)
            flush_to_disk(self._book)

    def open_tasks(self) -> list[str]:
        """Return the codes of tasks that have not ended, the oldest first."""
        with self._disk():
            found = sorted(self._book.glob("*.json"), key=lambda path: (path.stat().st_mtime, path.name))
        records = [record for path in found if (record := self.record(path.stem)) is not None]
        return [record.code for record in records if record.stage not in ENDED]

    def clean(self, code: str) -> None:
        """Remove everything of a task: its files, then its record.

        Does nothing if nothing of it remains or the folder does not exist.
        """
        with self._disk():
            for path in self.temp.glob(f"{code}*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            if self._book.is_dir():
                (self._book / f"{code}{PART}").unlink(missing_ok=True)
                self.strike(code)

    def sweep(self) -> None:
        """Remove tasks that ended more than a week ago and that no job has collected, mostly cancelled ones."""
        with self._disk():
            old = [path for path in self._book.glob("*.json") if time.time() - path.stat().st_mtime > KEEP_S]
        for path in old:
            if (record := self.record(path.stem)) is not None and record.stage in ENDED:
                self.clean(record.code)

    def put(self, source: Path, name: str, ask: Callable[[], None]) -> None:
        """Copy a file into the service's temp folder, completely or not at all.

        ask: called between blocks; an exception that it raises cancels the copy.
        """
        target = self.temp / name
        with self._disk():
            self.temp.mkdir(exist_ok=True)
            if target.is_file() and target.stat().st_size == source.stat().st_size:
                return  # copied by an earlier attempt
            part = target.with_name(name + PART)
            copy_file(source, part, ask)
            os.replace(part, target)

    def result(self, code: str) -> Path | None:
        """Return the finished video of a task, if it is in the folder itself; a link to elsewhere does not count."""
        path = self.temp / result_name(code)
        return path if path.is_file() and path.resolve().parent == self.temp.resolve() else None

    def growth(self, code: str) -> int:
        """Return how many bytes the service has written so far of the video that it is making."""
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
                raise NoSpaceError(
                    f"The disk of {self.path} is full; free some space, and the job continues."
                ) from None
            raise StudioError(
                f"The service's data folder {self.path} cannot be used ({error.strerror}); check the setting "
                "duix.services."
            ) from None


def result_name(code: str) -> str:
    """Return the only name that a task's finished video may have."""
    return f"{code}-r.mp4"


def copy_file(source: Path, target: Path, ask: Callable[[], None]) -> None:
    """Copy in blocks, calling `ask` after each. Raises OSError, and any exception that `ask` raises."""
    with source.open("rb") as read, target.open("wb") as write:
        while block := read.read(BLOCK_BYTES):
            write.write(block)
            ask()
