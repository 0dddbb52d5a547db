"""How each portrait of one folder changes the skin of each body of another folder, frame by frame.

    studio bench composite --portraits FOLDER --bodies FOLDER [--drivers FOLDER] [--sheet FOLDER] [--every N] [--json]

Each FOLDER may also be a pattern in quotes, such as "footage/body_*". Each pair is made into an avatar in a temporary
folder, driven by every driver with the `mesh` engine, and composed as the program is. Without drivers the face is at
rest. `benchmarks.composite.seam` describes what is measured; BOUNDS are its bounds. sharpness: detail of the composite
at rest, over that of the portrait itself after the same resizes (at rest, because a mouth or an eye that opens or
closes changes the detail). drawn: detail of the driven composite, over that of the engine's frame placed alone, so that
it shows what compositing does to the face.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.composite.seam import Seam, measure_seam
from benchmarks.composite.sheet import Sheet
from compositing.blend import Blender
from compositing.compose import Composer
from engines.api import Driving
from engines.registry import load_frame_engine
from shared.avatar.build import add_avatar
from shared.avatar.detail import relative_detail
from shared.avatar.model import ROI_SIZE_PX, Avatar, load_avatar
from shared.errors import StudioError
from shared.face import similarity
from shared.face.finder import FaceFinder
from shared.face.follower import FOLLOWED_SIDE_PX, FaceFollower
from shared.face.landmarks import Face
from shared.face.rest_pose import turn_to_rest
from shared.face.tracker import FaceTracker
from shared.media.array_types import ImageArray
from shared.media.colour import i420_to_rgb
from shared.media.intake.signature import SignedKind, signature_of
from shared.media.reader import VideoReader
from shared.media.still import read_image

EVERY = 5  # one of so many frames of a driver is examined
# (least, most). Skin: per cent of the bare skin, as the mean and the 95th percentile. sharpness: over the portrait's
# own; drawn: over the engine's frame.
BOUNDS = {
    **{
        f"{kind}_{of}": (0.0, most)
        for kind in ("darker", "lighter", "chroma")
        for of, most in (("mean", 1.0), ("p95", 3.0))
    },
    "sharpness": (0.8, 1.2),
    "drawn": (0.8, 1.2),
}
AT_REST = "(at rest)"
RESTS = 8  # plate frames on which a face at rest is examined
REST_FRAMES = 50  # ticks of a face at rest, at 25 a second
Progress = Callable[[str], None]


class PairingRow(TypedDict):
    """Figures of one portrait on one body with one driver.

    Percentages of the plate's bare skin, as the mean over the frames and their 95th percentile; sharpness, drawn:
    see the module. frames: how many were examined.
    """

    portrait: str
    body: str
    driver: str
    frames: int
    darker_mean: float
    darker_p95: float
    lighter_mean: float
    lighter_p95: float
    chroma_mean: float
    chroma_p95: float
    sharpness: float
    drawn: float
    verdict: str


@dataclass(slots=True)
class _Figures:
    shares: list[tuple[float, float, float]] = field(default_factory=list)
    sharp: list[float] = field(default_factory=list)  # over the engine's frame

    def add(self, seam: Seam, sharp: float) -> None:
        self.shares.append((seam.darker * 100, seam.lighter * 100, seam.discoloured * 100))
        self.sharp.append(sharp)


def measure(
    portraits: str,
    bodies: str,
    drivers: str | None = None,
    *,
    every: int = EVERY,
    sheet: Path | None = None,
    progress: Progress = lambda said: None,
) -> list[PairingRow]:
    """Return a row for every portrait, body and driver.

    Raises StudioError if a folder has no such file or a file cannot be used.
    """
    faces = files_of(portraits, "portrait", "image")
    plates = files_of(bodies, "body", "image", "film")
    driven = _driven(drivers)
    rows: list[PairingRow] = []
    with tempfile.TemporaryDirectory() as home:
        for number, (portrait, body) in enumerate((p, b) for p in faces for b in plates):
            progress(f"{portrait.name} on {body.name}")
            folder = add_avatar(Path(home), f"pairing-{number}", portrait, body, "measured only")
            drawn = Sheet() if sheet else None
            rows += measure_avatar(load_avatar(folder), portrait.stem, body.stem, driven, every, drawn)
            if sheet and drawn:
                drawn.write(sheet / f"{portrait.stem}-{body.stem}.jpg")
    return rows


def measure_avatar(
    avatar: Avatar,
    portrait: str,
    body: str,
    driven: dict[str, list[Driving]],
    every: int = EVERY,
    sheet: Sheet | None = None,
) -> list[PairingRow]:
    """Return a row for every driver of one avatar. sheet: some of the frames are added to it."""
    plates, at_rest = _PlateFaces(avatar), sharpness_at_rest(avatar)
    rows = []
    for name, ticks in driven.items():
        figures = _Figures()
        shown = len(range(0, len(ticks), every))
        for number, (index, pixels, composed, face) in enumerate(_composed(avatar, ticks, every)):
            plate, plate_face = plates.frame(index)
            seam = measure_seam(plate, composed, plate_face, face) if plate_face is not None else None
            if seam is None or plate_face is None:
                continue
            drawn = relative_detail(_alone(avatar, index, pixels), face)
            figures.add(seam, relative_detail(composed, face) / max(drawn, 1e-6))
            if sheet is not None and number % max(1, shown // 4) == 0:
                sheet.add(plate, composed, seam, plate_face)
        rows.append(_row(portrait, body, name, figures, at_rest))
    return rows


def files_of(where: str, what: str, *kinds: SignedKind) -> list[Path]:
    """Return the files of these kinds in a folder, or among those that a pattern matches.

    what: their name in the error. Raises StudioError if there are none.
    """
    path = Path(where)
    found = path.iterdir() if path.is_dir() else path.parent.glob(path.name)
    files = sorted(each for each in found if (signed := signature_of(each)) is not None and signed.kind in kinds)
    if not files:
        raise StudioError(
            f"There is no {what} in {where}; give a folder with some, or a pattern in quotes that matches some."
        )
    return files


def driving_of(path: Path) -> list[Driving]:
    """Return the driving frames that capture would make from a driver. Raises StudioError if it shows no face."""
    follower, ticks = FaceFollower(), []
    with VideoReader(path, max_side=FOLLOWED_SIDE_PX) as reader:
        for pts, rgb in reader:
            found = follower.follow(rgb, pts)
            face, neutral = (Face(each.points.copy()) for each in found) if found else (None, None)
            ticks.append(Driving(pts, face, neutral))
    if all(tick.face is None for tick in ticks):
        raise StudioError(f"{path.name} shows no face; choose a driver whose face is visible.")
    return ticks


def _driven(drivers: str | None) -> dict[str, list[Driving]]:
    if drivers is None:
        return {AT_REST: [Driving(tick * 40_000, None, None) for tick in range(REST_FRAMES)]}
    return {path.stem: driving_of(path) for path in files_of(drivers, "driver", "film")}


def _composed(avatar: Avatar, ticks: list[Driving], every: int) -> Iterator[tuple[int, ImageArray, ImageArray, Face]]:
    """Compose every `every`-th tick; the ticks in between only advance the engine.

    Yields (number of the plate frame, the engine's frame, program frame in RGB, the face in it).
    """
    session, composer, tracker = load_frame_engine("mesh").open(avatar), Composer(avatar), FaceTracker()
    for number, tick in enumerate(ticks):
        session.draws = number % every == 0
        frames = session.step(tick)
        if not session.draws or not frames:
            continue
        index = avatar.plate.index(tick.pts)
        pixels = frames[0].pixels
        composed = composer.compose(composer.background(index), index, pixels, 1.0)
        face = tracker.track(np.ascontiguousarray(pixels[..., :3])) or avatar.face
        yield index, pixels, i420_to_rgb(composed.frame), face.moved(_from_roi(avatar, index, pixels))


def _from_roi(avatar: Avatar, index: int, pixels: ImageArray) -> NDArray[np.float64]:
    factor = ROI_SIZE_PX / pixels.shape[0]
    return similarity.compose(avatar.plate.placements[index], similarity.resize_matrix(factor, factor))


class _PlateFaces:
    """The plate's frames and the face in each, which is found once and kept."""

    def __init__(self, avatar: Avatar) -> None:
        self._plate, self._finder = avatar.plate, FaceFinder()
        self._faces: dict[int, Face | None] = {}

    def frame(self, index: int) -> tuple[ImageArray, Face | None]:
        rgb = i420_to_rgb(self._plate.frame(index))
        if index not in self._faces:
            self._faces[index] = self._finder.track(rgb)
        return rgb, self._faces[index]


def sharpness_at_rest(avatar: Avatar) -> float:
    """Return the detail of the face at rest on the body, over that of the portrait itself in the same place and size.

    It is the median over some plate frames.
    """
    session, composer, portrait = load_frame_engine("mesh").open(avatar), Composer(avatar), _portrait_roi(avatar)
    pixels = session.step(Driving(0, None, None))[0].pixels
    shown = turn_to_rest(avatar.face, avatar.rest)
    ratios = []
    for index in np.linspace(0, len(avatar.plate) - 1, min(len(avatar.plate), RESTS)).round().astype(int).tolist():
        place = avatar.plate.placements[index]
        composed = i420_to_rgb(composer.compose(composer.background(index), index, pixels, 1.0).frame)
        itself = relative_detail(_alone(avatar, index, portrait), avatar.face.moved(place))
        ratios.append(relative_detail(composed, shown.moved(place)) / max(itself, 1e-6))
    return float(np.median(ratios))


def _portrait_roi(avatar: Avatar) -> ImageArray:
    """(512, 512, 3) uint8 RGB: the portrait as it is, cut to the ROI."""
    image, matrix = read_image(avatar.folder / "portrait.png"), avatar.portrait_to_roi
    scale = similarity.scale_of(matrix)
    if scale < 1.0:
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        shrink = similarity.resize_matrix(size[0] / image.shape[1], size[1] / image.shape[0])
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = similarity.compose(matrix, similarity.invert(shrink))
    side = ROI_SIZE_PX, ROI_SIZE_PX
    return np.asarray(
        cv2.warpAffine(image, matrix, side, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )


def _alone(avatar: Avatar, index: int, pixels: ImageArray) -> ImageArray:
    """Place a ROI frame where plate frame `index` has its face, on plain grey, without light matching or mask.

    Returns (H, W, 3) uint8 RGB.
    """
    plate = avatar.plate
    program = np.full((plate.height * 3 // 2, plate.width), 128, np.uint8)
    everywhere = Blender(np.full((ROI_SIZE_PX, ROI_SIZE_PX), 255, np.uint8))
    everywhere.place(program, np.ascontiguousarray(pixels[..., :3]), plate.placements[index])
    return i420_to_rgb(program)


def _row(portrait: str, body: str, driver: str, figures: _Figures, at_rest: float) -> PairingRow:
    if not figures.shares:
        raise StudioError(f"No frame of {portrait} on {body} shows both faces; choose a body whose face is visible.")
    shares = np.array(figures.shares)
    means, high = shares.mean(axis=0), np.percentile(shares, 95, axis=0)
    found = {
        f"{kind}_{of}": round(float(values[at]), 2)
        for at, kind in enumerate(("darker", "lighter", "chroma"))
        for of, values in (("mean", means), ("p95", high))
    }
    found |= {"sharpness": round(at_rest, 2), "drawn": round(float(np.median(figures.sharp)), 2)}
    row = {"portrait": portrait, "body": body, "driver": driver, "frames": len(shares), **found}
    return cast(PairingRow, row | {"verdict": verdict(found)})


def verdict(figures: Mapping[str, float]) -> str:
    """Return "holds" if every figure of a pairing is within its bounds, else "exceeds"."""
    holds = all(low <= figures[name] <= high for name, (low, high) in BOUNDS.items())
    return "holds" if holds else "exceeds"
