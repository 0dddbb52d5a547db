"""A job's manifest: written once, before the job is queued, and never changed."""

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
KEPT_MANIFESTS = 4  # parsed manifests that are cached
ID = re.compile(r"[a-z0-9][a-z0-9-]{5,63}")  # a job's id, which also becomes a name in the store
Priority = Literal["high", "normal", "low"]
DrivenBy = Literal["motion", "voice", "template"]


class DamagedJobError(StudioError):
    """A job's folder exists, but its manifest is missing, damaged or of another version."""


class Span(NamedTuple):
    """The ticks of a segment, from `start` up to but not including `stop`."""

    start: int
    stop: int


class Plan(BaseModel):
    """Division of a job into segments.

    driven: kind of driver. rate: frames per second, such as "25" or "30000/1001". ticks: number of frames in total; for
    a voice this is the length that its file states, and the last segment has the real number. segment: ticks in each
    segment but the last. chained: whether each segment needs the one before it.
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
        """Frames per second."""
        return Fraction(self.rate)

    @property
    def segments(self) -> int:
        """Number of segments, at least one."""
        return max(1, -(-self.ticks // self.segment))

    def span(self, index: int) -> Span:
        """The ticks of segment `index`."""
        return Span(index * self.segment, min((index + 1) * self.segment, self.ticks))


class Manifest(BaseModel):
    """Definition of a job: avatar, driver, engine and output file.

    avatar_files, driver_file, captions_file: names in the store; captions_file is WebVTT of the driver's words, "" if
    these are not known. driver: the submitter's name of the driver file. heard: whether the output has the driver's
    sound. out: path of the result on the submitting machine, "" if it stays in the store. output:
    `shared.media.output_spec.OutputSpec` as a dict. look: all of the engine's options: those given with the job, and
    for the rest the engine's settings on the submitting machine. units: declared by a clip engine; empty for a frame
    engine, whose units follow from the plan. notes: sentences for the user about the driver.
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
        """Check the units, because their names become names in the store."""
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
    """Return the name of a job's folder in the store."""
    return f"jobs/{job}"


@lru_cache(maxsize=KEPT_MANIFESTS)
def _parsed(raw: bytes) -> Manifest:
    """Parse a manifest; the same bytes return the same object.

    The clip of an hour has 70,000 units, and every unit and every status request reads the manifest.
    """
    return Manifest.model_validate_json(raw)


def read_job_manifest(store: Store, job: str) -> Manifest:
    """Return a job's manifest. Raises StudioError if there is no such job, DamagedJobError if it cannot be read."""
    raw = store.read(f"{folder(job)}/job.json") if ID.fullmatch(job) else None
    if raw is None:
        if ID.fullmatch(job) and store.list(folder(job)):
            raise DamagedJobError(f"Job '{job}' has lost its job.json; `studio jobs rm {job}` removes what is left.")
        raise StudioError(f"There is no job '{job[:60]}'; `studio jobs list` shows all jobs.")
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
