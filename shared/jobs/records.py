"""The small files of a job's folder as models: the one place where names and contents of the jobs' store are parsed.

The store is a folder that others reach too: file synchronisers leave copies, editors leave backups, a full disk leaves
files cut short. A name that the studio would not have written is ignored; a content that it would not have written
reads as None, and who asked decides what a damaged file costs.
"""

import re
from collections.abc import Iterable
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.jobs.store import Store

MAX_RECORD_BYTES = 1 << 20  # size of a small file; none of ours comes near
MAX_CLAIMS = 9999  # of a unit: the numbers that four digits hold
_NUMBERED = re.compile(r"(claim|failed|returned)-([0-9]{4})\.json")
NumberedKind = Literal["claim", "failed", "returned"]


class Record(BaseModel):
    """A small file: JSON, a map, each value of its very type."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


Known = TypeVar("Known", bound=Record)


class BeatRecord(Record):
    """A claim, rewritten by its holder.

    done, total: steps. fps: steps a second. pace: weight a second that the holder did of the job's last unit of the
    kind, 0 where there was none; told until the unit says how far it is.
    """

    beat: int = Field(ge=0, lt=1 << 53)
    worker: str = Field("", max_length=500)
    done: int = Field(0, ge=0, lt=1 << 53)
    total: int = Field(0, ge=0, lt=1 << 53)
    fps: float = Field(0.0, ge=0.0)
    pace: float = Field(0.0, ge=0.0)


class FailureRecord(Record):
    """An attempt that ended with a reason, or a job that waits for one. kind: failed, memory or no_space."""

    reason: str = ""
    kind: str = "failed"


class DoneRecord(Record):
    """A unit that is done: which claim did it, and what it noted.

    files: of a clip engine's unit. lost: frames of the driver that could not be decoded.
    """

    model_config = ConfigDict(extra="allow")

    claim: int = Field(ge=1, le=MAX_CLAIMS)
    frames: int = Field(0, ge=0, lt=1 << 53)
    sha256: str = ""
    files: list[str] = []
    lost: int = Field(0, ge=0, lt=1 << 53)


class WishRecord(Record):
    """What the operator wants of a job."""

    wanted: Literal["run", "paused", "cancelled"] = "run"


class ResultRecord(Record):
    """The sidecar of a finished job, of which this much is read.

    file, captions: names in the job's folder, captions "" where there are none. notes: for the user.
    """

    model_config = ConfigDict(extra="allow")

    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    bytes: int = Field(ge=0, lt=1 << 63)
    ticks: int = Field(ge=0, lt=1 << 53)
    notes: list[str] = []
    captions: str = Field("", pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99})?$")


def read_record(store: Store, name: str, kind: type[Known]) -> Known | None:
    """Return a file's content; None where there is none, or the file is not such a record.

    Raises StudioError where the store cannot be read.
    """
    raw = store.read(name)
    if raw is None or len(raw) > MAX_RECORD_BYTES:
        return None
    try:
        return kind.model_validate_json(raw)
    except ValidationError:
        return None


def numbered(names: Iterable[str]) -> dict[NumberedKind, set[int]]:
    """Return the numbers of a unit's claims, failures and returns among the names in its folder; others are ignored."""
    found: dict[NumberedKind, set[int]] = {"claim": set(), "failed": set(), "returned": set()}
    for name in names:
        if (match := _NUMBERED.fullmatch(name)) and int(match[2]):
            found[match[1]].add(int(match[2]))  # type: ignore[index]  # the pattern names the kinds
    return found
