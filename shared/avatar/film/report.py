"""`film.json`: the report on a filmed body, a typed and versioned file in the avatar's folder."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors import StudioError

SCHEMA = 1
FILE, SHEET = "film.json", "film.jpg"
Kind = Literal["absent", "other_person", "covered", "blurred", "turned_away", "talking", "closed_mouth", "excluded"]
UNFIT: tuple[Kind, ...] = ("absent", "other_person", "covered", "blurred", "turned_away", "excluded")
TITLES: dict[Kind, str] = {
    "absent": "no face",
    "other_person": "another person",
    "covered": "face covered",
    "blurred": "face blurred",
    "turned_away": "turned away",
    "talking": "talking, or mouth open",
    "closed_mouth": "mouth closed",
    "excluded": "excluded",
}


class _ReportPart(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Stretch(_ReportPart):
    """Frames of one kind, from `first` up to but not including `end`."""

    kind: Kind
    first: int
    end: int


class Shot(_ReportPart):
    """Frames between two cuts, from `first` up to but not including `end`.

    like_before: whether its face looks like the face of the shots before.
    """

    first: int
    end: int
    like_before: bool = True


class Join(_ReportPart):
    """A place where frame `first` is played after frame `last`.

    fade: number of cross-fade frames between them. motion, change: largest values from one frame to the next, as in
    `Loop`.
    """

    last: int
    first: int
    fade: int
    motion: float
    change: float


class LoopPart(_ReportPart):
    """Frames that are played in sequence, from `first` up to but not including `end`."""

    first: int
    end: int


class Loop(_ReportPart):
    """The loop that is played: parts, with a join between each two.

    closing: the join from the end of the last part to the beginning of the first; without it the parts are played
    forwards and backwards.

    seam_motion, seam_change: largest step from one frame to the next at a join or turn: motion of the face as a share
    of its size, and mean difference of the images in levels. motion, change: 95th percentiles of these steps between
    consecutive frames of the film.
    """

    parts: tuple[LoopPart, ...]
    joins: tuple[Join, ...] = ()
    closing: Join | None = None
    seam_motion: float = 0.0
    seam_change: float = 0.0
    motion: float = 0.0
    change: float = 0.0


class FilmReport(_ReportPart):
    """The content of `film.json`.

    frames, fps: the film's number of frames and frame rate; the plate has more frames if there are cross-fades. still:
    number of the frame that shows the face best, which is the portrait of a body without one. closed_mouth: share of
    the frames with a face whose mouth is at rest. sharpness: median of the face's sharpness. kept, kept_bytes: name and
    size of the source film in the avatar's folder, "" and 0 if it is not stored.
    """

    schema_: Literal[1] = 1
    frames: int
    fps: float
    shots: tuple[Shot, ...]
    stretches: tuple[Stretch, ...]
    loop: Loop
    still: int
    closed_mouth: float = 0.0
    sharpness: float = 0.0
    kept: str = ""
    kept_bytes: int = 0

    model_config = ConfigDict(
        extra="allow", frozen=True, alias_generator=lambda name: name.rstrip("_"), populate_by_name=True
    )

    def save(self, folder: Path) -> None:
        """Write the report into an avatar's unfinished folder; the write is not atomic. Raises OSError."""
        (folder / FILE).write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")

    def excluded(self) -> tuple[tuple[float, float], ...]:
        """Return the (from, to) seconds of the excluded parts."""
        return tuple((each.first / self.fps, each.end / self.fps) for each in self.stretches if each.kind == "excluded")

    def as_json(self) -> dict[str, Any]:
        """Return the file's content as plain values."""
        return self.model_dump(mode="json", by_alias=True)

    def notes(self, name: str) -> list[str]:
        """Return sentences about the film for the user who adds it. name: the film's name in them."""
        said = []
        if len(self.shots) > 1:
            at = ", ".join(f"{shot.first / self.fps:.1f}" for shot in self.shots[1:6])
            more = " and more" if len(self.shots) > 6 else ""
            said.append(
                f"{name} has {len(self.shots)} shots (cuts at {at}{more} s); the face is placed in each separately."
            )
        for number, shot in enumerate(self.shots, 1):
            if not shot.like_before:
                said.append(f"Shot {number} of {name} may show another person; exclude it if it does.")
        for kind in UNFIT:
            parts = [each for each in self.stretches if each.kind == kind]
            if parts:
                count = sum(each.end - each.first for each in parts)
                at = ", ".join(f"{each.first / self.fps:.1f}-{each.end / self.fps:.1f}" for each in parts[:5])
                more = " and more" if len(parts) > 5 else ""
                said.append(f"{count} of {self.frames} frames of {name}: {TITLES[kind]} (at {at}{more} s).")
        played = sum(part.end - part.first for part in self.loop.parts)
        if played < self.frames:
            at = ", ".join(f"{part.first / self.fps:.1f}-{part.end / self.fps:.1f}" for part in self.loop.parts[:5])
            more = " and more" if len(self.loop.parts) > 5 else ""
            how = "in a loop" if self.loop.closing else "forwards and backwards"
            said.append(f"The plate is played {how}: {at}{more} s of the film.")
        return said


def read_film_report(folder: Path) -> FilmReport | None:
    """Return the report on an avatar's film.

    None for an avatar without a filmed body or from a release without such reports. Raises StudioError if the file is
    damaged or of another version.
    """
    try:
        content = json.loads((folder / FILE).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StudioError(f"{folder / FILE} cannot be read ({error}); add the avatar again.") from error
    version = content.get("schema") if isinstance(content, dict) else None
    if version != SCHEMA:
        raise StudioError(f"{folder / FILE} has format {version}, this studio reads {SCHEMA}; add the avatar again.")
    try:
        return FilmReport.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StudioError(f"{folder / FILE} is damaged ({where}: {first['msg']}); add the avatar again.") from None
