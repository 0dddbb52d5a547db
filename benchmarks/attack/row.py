"""One row of the attack's table, and the measurement of a channel on air that is under attack."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import av

from harness.channel import PATIENCE_S, Studio, resident_bytes

MEGABYTE = 1 << 20


@dataclass(slots=True)
class AttackRow:
    """Result of one kind of attack.

    tried: messages, requests, connections or kills. lost: what should have been there and is not: jobs, answers,
    recordings. died: processes that ended and were not killed by the attack. grew_mb: resident memory of the process
    that grew most. seconds: the attack's length. fps: program frames a second on the wire meanwhile, None without a
    program. notes: what was wrong, one sentence each.
    """

    what: str
    tried: int = 0
    lost: int = 0
    died: int = 0
    grew_mb: float = 0.0
    seconds: float = 0.0
    fps: float | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """Whether nothing was lost and nothing died."""
        return not (self.lost or self.died or self.notes)

    def wrong(self, sentence: str) -> None:
        """Note what was wrong; only the first ten different sentences are kept."""
        if len(self.notes) < 10 and sentence not in self.notes:
            self.notes.append(sentence)


@contextmanager
def beside(run: Studio, row: AttackRow) -> Iterator[None]:
    """Measure a channel while it is attacked: processes that end, memory, frames on the wire."""
    before = run.pids()
    memory = {pid: resident_bytes(pid) for pid in before.values()}
    first, started = _newest(run), time.monotonic()
    yield
    row.seconds = time.monotonic() - started
    last, after = _newest(run), run.pids()
    row.died += sum(after.get(name) != pid for name, pid in before.items())
    kept = [pid for pid in before.values() if pid in after.values()]
    row.grew_mb = max([0.0, *((resident_bytes(pid) - memory[pid]) / MEGABYTE for pid in kept)])
    if first is None or last is None:
        row.wrong("no program came on the wire")
        return
    row.fps = (last[0] - first[0]) / (last[1] - first[1])


def _newest(run: Studio) -> tuple[int, float] | None:
    """(sequence number, time of arrival in seconds) of the newest frame on the wire, None where none comes."""
    ends = time.monotonic() + PATIENCE_S
    while not (frames := run.collect_messages("program", 0.5)):
        if time.monotonic() > ends:
            return None
    return frames[-1][1].sequence, frames[-1][0]


def recording_seconds(path: Path) -> tuple[float, int]:
    """Decode all of a file and return (time of its last frame in seconds, number of frames). Raises av.FFmpegError."""
    count, end = 0, 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            count += 1
            end = frame.time or end
    return end, count
