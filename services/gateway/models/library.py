"""Answers about engines, avatars, drivers and recordings."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from services.gateway.children.avatar_build import BuildProgress
from services.gateway.models.base import Answer


class EngineQuality(Answer):
    """The quality that an engine is at: a value of its option "quality", and its title for people."""

    name: str
    title: str


class EngineRow(Answer):
    """An engine as the generator reports it.

    options: JSON schema of its options, flat, with what holds here as defaults; the console's form is made from it. A
    string with an "enum" may have "titles" for its values. {} where it has none. template_suffixes: how the names of
    the recorded motions end that it plays. modes: where it can run, "live", "offline". terms: what it may be used for.
    unavailable: why it cannot run here, "" where it can.
    """

    name: str
    title: str
    options: dict[str, Any]
    modes: list[str]
    template_suffixes: list[str]
    terms: str
    unavailable: str


class AvatarRow(Answer):
    """An avatar, finished, damaged or being built.

    kind: of its plate. unavailable: why it cannot be used, "" where it can. building: how far it is, null once it is
    finished.
    """

    name: str
    rights: str
    kind: str
    unavailable: str
    building: BuildProgress | None


class AvatarName(Answer):
    """The avatar that was made."""

    name: str


class FilmChoices(BaseModel):
    """What to choose of an avatar's film.

    still: second to take as the portrait. exclude: parts not to show, FROM-TO in seconds each. null leaves what was
    chosen before.
    """

    model_config = ConfigDict(extra="forbid")

    still: float | None = Field(None, ge=0, allow_inf_nan=False)
    exclude: tuple[str, ...] | None = Field(None, max_length=100)


class PlateIndex(Answer):
    """Size, rate, and where each frame of a plate begins in bytes, with the end of the last."""

    width: int
    height: int
    fps: float
    starts: list[int]


class DriverRow(Answer):
    """What can drive.

    word: for the API. detail: what it is where its title does not say. unavailable: why it is not available, "" where
    it can.
    """

    word: str
    title: str
    detail: str
    unavailable: str


class UploadedDriver(Answer):
    """An uploaded driver: its id, and its word for the scene."""

    id: str
    driver: str


class RecordingRow(Answer):
    """A recording made from the console. modified: wall clock seconds. captions: whether a text was spoken in it."""

    id: str
    bytes: int
    modified: float
    captions: bool
