"""Models of the small files in a job's folder; all parsing of names and contents in the job store is done here.

Other programs have access to the store's folder too: file synchronisers leave copies, editors leave backups, a full
disk leaves truncated files. Names that the studio does not write are ignored. Contents that it does not write are read
as None, and the caller decides how to handle a damaged file.
"""

import re
from collections.abc import Iterable
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.jobs.store import Store

MAX_RECORD_BYTES = 1 << 20  # far above the size of any file that the studio writes
MAX_CLAIMS = 9999  # of a unit: highest number of four digits
_NUMBERED = re.compile(r"(claim|failed|returned)-([0-9]{4})\.json")
NumberedKind = Literal["claim", "failed", "returned"]


class Record(BaseModel):
    """Base of the small files: a JSON object whose values have exactly the declared types."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


Known = TypeVar("Known", bound=Record)


class BeatRecord(Record):
    """Content of a claim's file, which its holder rewrites.

    beat: counts up. worker: its name. done, total: steps. fps: steps per second. pace: weight per second of the
    holder's last unit of this kind in the job, 0 if there was none; sent until the unit reports steps.
    """

    beat: int = Field(ge=0, lt=1 << 53)
    worker: str = Field("", max_length=500)
    done: int = Field(0, ge=0, lt=1 << 53)
    total: int = Field(0, ge=0, lt=1 << 53)
    fps: float = Field(0.0, ge=0.0)
    pace: float = Field(0.0, ge=0.0)


class FailureRecord(Record):
    """Reason of a failed attempt or of a parked job. kind: failed, memory or no_space."""

    reason: str = ""
    kind: str = "failed"


class DoneRecord(Record):
    """Record of a unit that is done.

    claim: number of the claim that did it. files: files of a clip engine's unit. lost: number of the driver's frames
    that could not be decoded.
    """

    model_config = ConfigDict(extra="allow")

    claim: int = Field(ge=1, le=MAX_CLAIMS)
    frames: int = Field(0, ge=0, lt=1 << 53)
    sha256: str = ""
    files: list[str] = []
    lost: int = Field(0, ge=0, lt=1 << 53)


class WishRecord(Record):
    """The operator's wish for a job."""

    wanted: Literal["run", "paused", "cancelled"] = "run"


class ResultRecord(Record):
    """The part of a finished job's sidecar that is read back.

    file, captions: names in the job's folder, captions "" if there are none. bytes: size of the file. ticks: its number
    of frames. notes: sentences for the user.
    """

    model_config = ConfigDict(extra="allow")

    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    bytes: int = Field(ge=0, lt=1 << 63)
    ticks: int = Field(ge=0, lt=1 << 53)
    notes: list[str] = []
    captions: str = Field("", pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99})?$")


def read_record(store: Store, name: str, kind: type[Known]) -> Known | None:
    """Return the record in a file; None if there is no such file or it does not contain a record of this kind.

    Raises StudioError if the store cannot be read.
    """
    raw = store.read(name)
    if raw is None or len(raw) > MAX_RECORD_BYTES:
        return None
    try:
        return kind.model_validate_json(raw)
    except ValidationError:
        return None


def numbered(names: Iterable[str]) -> dict[NumberedKind, set[int]]:
    """Return the numbers of a unit's claims, failures and returns, by the file names in its folder."""
    found: dict[NumberedKind, set[int]] = {"claim": set(), "failed": set(), "returned": set()}
    for name in names:
        if (match := _NUMBERED.fullmatch(name)) and int(match[2]):
            found[match[1]].add(int(match[2]))  # type: ignore[index]  # the pattern names the kinds
    return found
