"""State that a worker's processes share, in shared memory without locks.

There are no locks because any of the processes may be killed at any moment.
"""

import mmap
import os
import struct
from typing import Self

STATE_BYTES = 4096
LEAVING, BUSY, TAKEN, CHILD, JOB = 0, 1, 8, 16, 24  # offsets
JOB_NAME_BYTES = 100


class SharedState:
    """A page of shared memory. The worker writes whether it is leaving, Celery's child which job it is working on."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, STATE_BYTES)

    @classmethod
    def create(cls) -> Self:
        """Create a page; child processes inherit its descriptor."""
        descriptor = os.memfd_create("studio-worker")
        os.ftruncate(descriptor, STATE_BYTES)
        return cls(descriptor)

    @property
    def leaving(self) -> bool:
        """Whether the worker is about to end."""
        return self._memory[LEAVING] == 1

    def leave(self) -> None:
        """Note that the worker is about to end, so that its current segment is handed back."""
        self._memory[LEAVING] = 1

    def set_child(self, child: int) -> None:
        """Note a new child process; an earlier one is dead, so its job is no longer in progress."""
        self._memory[BUSY] = 0
        self._write(CHILD, child)

    @property
    def child(self) -> int:
        """The child's process id, 0 before the first."""
        return self._read(CHILD)

    def begin_message(self, job: str) -> None:
        """Note that a message for this job was taken."""
        self._memory[JOB : JOB + JOB_NAME_BYTES] = job.encode()[:JOB_NAME_BYTES].ljust(JOB_NAME_BYTES, b"\0")
        self._memory[BUSY] = 1
        self._write(TAKEN, self.taken + 1)

    def end_message(self) -> None:
        """Note that the current message has been handled."""
        self._memory[BUSY] = 0

    @property
    def taken(self) -> int:
        """Number of messages taken so far."""
        return self._read(TAKEN)

    @property
    def job(self) -> str:
        """Id of the job in progress, "" while there is none."""
        if not self._memory[BUSY]:
            return ""
        return self._memory[JOB : JOB + JOB_NAME_BYTES].rstrip(b"\0").decode(errors="replace")

    def _read(self, at: int) -> int:
        return int(struct.unpack("<Q", self._memory[at : at + 8])[0])

    def _write(self, at: int, value: int) -> None:
        self._memory[at : at + 8] = struct.pack("<Q", value)

    def close(self) -> None:
        """Unmap the memory and close its descriptor."""
        self._memory.close()
        os.close(self.descriptor)
