"""A job as it was handed in: written once, before anything is queued, and never changed."""

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from shared.errors import StudioError
from shared.jobs.graph import JobGraph, UnitSpec, check_units, clip_graph, segment_graph
from shared.jobs.store import Store

SCHEMA = 1
KEPT_MANIFESTS = 4  # that were read last
ID = re.compile(r"[a-z0-9][a-z0-9-]{5,63}")  # what looks otherwise never becomes a name in the store
Priority = Literal["high", "normal", "low"]
DrivenBy = Literal["motion", "voice", "template"]


class DamagedJobError(StudioError):
    """A job's folder is there, but what it holds is no longer a job."""


class Span(NamedTuple):
    """A segment's ticks, from `start` up to but not including `stop`."""

    start: int
    stop: int


class Plan(BaseModel):
    """How a job is cut.

    rate: frames a second, "25" or "30000/1001". ticks: frames of the whole; for a voice the length that its file
    states; the last segment has what there really is. segment: ticks in each but the last. chained: each segment needs
    the one before it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    driven: DrivenBy
    rate: str
    ticks: int = Field(ge=0, lt=1 << 40)
    segment: int = Field(ge=1, lt=1 << 40)
    chained: bool

    @field_validator("rate")
    @classmethod
    def _is_rate(cls, rate: str) -> str:
        try:
            if len(rate) > 40 or not 0 < Fraction(rate) <= 1000:
                raise ValueError
        except (ValueError, ZeroDivisionError):
            raise ValueError("a rate is a number of frames a second") from None
        return rate

    @property
    def fps(self) -> Fraction:
        """Frames a second."""
        return Fraction(self.rate)

    @property
    def segments(self) -> int:
        """How many segments there are, at least one."""
        return max(1, -(-self.ticks // self.segment))

    def span(self, index: int) -> Span:
        """The ticks of segment `index`."""
        return Span(index * self.segment, min((index + 1) * self.segment, self.ticks))


class Manifest(BaseModel):
    """What a job is: who, moved by what, by which engine, into which file.

    avatar_files, driver_file, captions_file: names in the store; captions_file: WebVTT of what the driver says, ""
    where that is not known. driver: the file's name as its sender called it. out: a path on the machine that handed it
    in, "" where the result stays in the store. output: `shared.media.output_spec.OutputSpec` as a dict. look: the
    engine's options, all of them: those that were given over its settings where the job was handed in. units: what a
    clip engine declared; empty for a frame engine, whose units follow from the plan. notes: sentences for the user
    about the driver.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA
    id: str
    key: str
    created: str
    priority: Priority
    avatar: str
    avatar_files: str
    engine: str
    look: dict[str, Any] = {}
    driver: str
    driver_file: str
    driver_sha256: str
    captions_file: str = ""
    heard: bool
    notes: tuple[str, ...] = ()
    out: str
    output: dict[str, Any]
    idle_after: float
    plan: Plan
    units: tuple[UnitSpec, ...] = ()
    versions: dict[str, str]

    @field_validator("units")
    @classmethod
    def _checked(cls, units: Sequence[UnitSpec]) -> Sequence[UnitSpec]:
        """Check the names, which become names in the store."""
        try:
            if units:
                check_units(units)
        except StudioError as error:
            raise ValueError(str(error)) from None
        return units

    @cached_property
    def graph(self) -> JobGraph:
        """All units of the job."""
        if self.units:
            return clip_graph(self.units)
        spans = [self.plan.span(index) for index in range(self.plan.segments)]
        return segment_graph([stop - start for start, stop in spans], self.plan.driven, chained=self.plan.chained)


def folder(job: str) -> str:
    """A job's folder in the store."""
    return f"jobs/{job}"


@lru_cache(maxsize=KEPT_MANIFESTS)
def _parsed(raw: bytes) -> Manifest:
    """Parse a manifest; the same bytes give the same object.

    An hour's clip has 70,000 units, and every unit and every look begins with this.
    """
    return Manifest.model_validate_json(raw)


def read_job_manifest(store: Store, job: str) -> Manifest:
    """Raise StudioError where there is no such job, DamagedJobError where what is left of it cannot be read."""
    raw = store.read(f"{folder(job)}/job.json") if ID.fullmatch(job) else None
    if raw is None:
        if ID.fullmatch(job) and store.list(folder(job)):
            raise DamagedJobError(f"Job '{job}' has lost its job.json; `studio jobs rm {job}` removes what is left.")
        raise StudioError(f"There is no job '{job[:60]}'; `studio jobs list` shows what there is.")
    try:
        made = _parsed(raw)
    except ValidationError as error:
        cut = any(each["type"] == "json_invalid" for each in error.errors())
        why = "has a damaged job.json" if cut else "was made by another version of the studio"
        raise DamagedJobError(
            f"Job '{job}' {why}; submit it again, and remove this one with `studio jobs rm`."
        ) from None
    if made.id != job:
        raise DamagedJobError(f"Job '{job}' is a copy of job '{made.id[:60]}'; remove it with `studio jobs rm {job}`.")
    return made
