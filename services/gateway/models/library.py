"""Answers about engines, avatars, drivers and recordings."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from services.gateway.children.avatar_build import BuildProgress
from services.gateway.models.base import Answer


class EngineQuality(Answer):
    """The current quality of an engine: a value of its option "quality", and its title."""

    name: str
    title: str


class EngineRow(Answer):
    """An engine as the generator reports it.

    options: JSON schema of the engine's options, flat, with this machine's settings as defaults; the console's form is
    made from it. A string with an "enum" may have "titles" for its values. {} if there are no options.
    template_suffixes: file suffixes of the recorded motion that the engine plays. modes: "live", "offline". terms: what
    the engine may be used for. unavailable: why it cannot run here, "" if it can.
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

    kind: the plate's kind. unavailable: why the avatar cannot be used, "" if it can. building: progress of the build,
    null once it is finished.
    """

    name: str
    rights: str
    kind: str
    unavailable: str
    building: BuildProgress | None


class AvatarName(Answer):
    """The name of the avatar that was built."""

    name: str


class FilmChoices(BaseModel):
    """A choice of still and excluded parts for an avatar's film.

    still: second of the film to use as the portrait. exclude: parts not to use, each FROM-TO in seconds. null keeps the
    earlier choice.
    """

    model_config = ConfigDict(extra="forbid")

    still: float | None = Field(None, ge=0, allow_inf_nan=False)
    exclude: tuple[str, ...] | None = Field(None, max_length=100)


class PlateIndex(Answer):
    """Frame size and rate of a plate, and the byte offset of each frame, with the end of the last."""

    width: int
    height: int
    fps: float
    starts: list[int]


class DriverRow(Answer):
    """A driver that can be chosen.

    word: for the scene's `driver`. detail: kind of the driver, if the title does not show it. unavailable: why it is
    not available, "" if it is.
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
