"""Builds a plate: measures the placement and the light of the face in each frame.

A plate is either the portrait itself (nothing is tracked, the placement inverts the crop) or a foreign
image or video whose face is tracked frame by frame.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from shared.avatar.body_faces import save_body_faces
from shared.avatar.film.build import Film, FilmSpan, by_part, follow_film, understand_film, with_blends
from shared.avatar.film.track import STABLE, FilmTrack
from shared.avatar.manifest import PlateKind
from shared.avatar.mask import bound_mask
from shared.avatar.matte import own_cut_out
from shared.avatar.plate import Plate, save_index
from shared.avatar.plate_frames import PlateFrameWriter, SourceFrame
from shared.avatar.relight import landmark_colours, relight
from shared.avatar.skin import SkinLight, light_transfer, measure_light, smooth_lights
from shared.face import similarity
from shared.face.landmarks import OVAL, Face
from shared.face.rest_pose import MAX_REST_DEGREES, rest_pose, turn_to_rest, turned_against
from shared.face.upright import quarters_to_upright, turned
from shared.media.array_types import ImageArray
from shared.media.intake.signature import is_still_image
from shared.media.reader import VideoReader
from shared.media.still import read_cut_out
from shared.media.timeline import breaks_off
from shared.runtime.clock import US
from shared.runtime.files import path_text
from shared.runtime.progress import StageProgress

MAX_SIDE_PX = 1920
MAX_PLATE_S = 600
STILL_FPS = 25.0
TURNED_TOO_FAR = 5.0  # degrees beyond MAX_REST_DEGREES from which the remaining difference is visible
TURNED_SEEN = 13.0  # degrees from which the correction of the difference is visible
BODY_FACES = 8  # number of the plate's faces, evenly spread, that are stored for the positions of its features


@dataclass(frozen=True, slots=True)
class PlateMeasures:
    """Facts of a plate for the manifest. rest: (yaw, pitch) in degrees, see `rest_pose`. notes: for the user."""

    width: int
    height: int
    fps: float
    frames: int
    kind: PlateKind
    rest: tuple[float, float]
    notes: tuple[str, ...]


def build_own_plate(
    folder: Path, portrait: ImageArray, portrait_to_roi: NDArray[np.float64], alpha: ImageArray | None = None
) -> PlateMeasures:
    """Write the plate of an avatar whose plate is the portrait itself, and return its facts.

    portrait: (H, W, 3) uint8 RGB. alpha: (H, W) uint8 of the portrait, None if it is opaque.
    """
    image, resized = fit_image(portrait)
    placement = similarity.compose(resized, similarity.invert(portrait_to_roi))
    with PlateFrameWriter(folder) as frames:
        frames.add(SourceFrame(image, None if alpha is None else fit_image(alpha)[0]))
    height, width = image.shape[:2]
    save_index(
        folder,
        width=width,
        height=height,
        fps=STILL_FPS,
        sizes=frames.sizes,
        placements=placement[None],
        gains=np.ones((1, 3), np.float32),
        offsets=np.zeros((1, 3), np.float32),
    )
    return PlateMeasures(width, height, STILL_FPS, 1, "portrait", (0.0, 0.0), _cut_out_note("The portrait", frames))


def follow_body(
    folder: Path,
    body: Path,
    progress: StageProgress,
    *,
    exclude: Sequence[FilmSpan] = (),
    still_s: float | None = None,
    as_it_is: bool = False,
) -> "FollowedBody":
    """Read a body's image or video once: write its frames as plate frames and analyse them.

    exclude: (from, to) spans in seconds that must not be shown. still_s: time of the still in seconds, None for the
    best frame. as_it_is: play the whole video. Raises StudioError if no frame shows a face or the file cannot be read
    to its end.
    """
    is_image = is_still_image(body)
    called, notes = path_text(Path(body.name)), list[str]()
    fps, total, images = _open_image(body, notes) if is_image else _open_video(body, notes)
    most = _at_most(
        images, round(MAX_PLATE_S * fps), f"{called} is longer than {MAX_PLATE_S} s; the plate ends there.", notes
    )
    with PlateFrameWriter(folder) as frames:
        track = follow_film(called, frames.added(most), _plate_progress(total, progress))
        film = understand_film(called, track, fps, frames.read, exclude=exclude, still_s=still_s, as_it_is=as_it_is)
        frames.add_blends(film.round.blends)
    notes += _cut_out_note(called, frames)
    if not is_image:
        notes += film.report.notes(called)
    return FollowedBody(film, frames, fps, "image" if is_image else "video", tuple(notes))


def follow_plate(
    folder: Path,
    old: Plate,
    count: int,
    name: str,
    progress: StageProgress,
    *,
    exclude: Sequence[FilmSpan],
    still_s: float | None,
) -> "FollowedBody":
    """Analyse the film of an existing plate again, with other choices; its frames are copied without re-encoding.

    count: number of the film's frames, with which the plate begins. name: the film's name, for notes. Raises
    StudioError like `follow_body`.
    """
    with PlateFrameWriter(folder) as frames:
        track = follow_film(name, _copied(old, count, frames), _plate_progress(count, progress))
        film = understand_film(name, track, old.fps, frames.read, exclude=exclude, still_s=still_s)
        frames.add_blends(film.round.blends)
    notes = (*_cut_out_note(name, frames), *film.report.notes(name))
    return FollowedBody(film, frames, old.fps, "video", notes)


def _copied(old: Plate, count: int, frames: PlateFrameWriter) -> Iterator[ImageArray]:
    """Copy the first `count` frames of a plate, and yield the RGB of each."""
    cut_outs = own_cut_out(old)
    for number in range(count):
        frames.copy(old.jpeg(number), None if cut_outs is None else cut_outs.frame(number))
        yield np.asarray(simplejpeg.decode_jpeg(old.jpeg(number)), np.uint8)


def _cut_out_note(name: str, frames: PlateFrameWriter) -> tuple[str, ...]:
    if not frames.clear:
        return ()
    return (
        f"{name} has its own alpha channel, which outputs with alpha use; other outputs show grey behind the host.",
    )


def _plate_progress(total: int, progress: StageProgress) -> Callable[[int], None]:
    return lambda done: progress("plate", min(1.0, done / max(total, 1)))


@dataclass(frozen=True, slots=True)
class FollowedBody:
    """An analysed body, before a face is placed on it. frames: writer of the film's and its cross-fades' frames."""

    film: Film
    frames: PlateFrameWriter
    fps: float
    kind: PlateKind
    notes: tuple[str, ...]

    def frame(self, number: int) -> ImageArray:
        """Return one frame as (H, W, 3) uint8 RGB."""
        return self.frames.read(number)


def place_on_body(
    folder: Path, body: FollowedBody, roi: ImageArray, roi_face: Face
) -> tuple[PlateMeasures, ImageArray, NDArray[np.uint8], list[Face]]:
    """Place a face on an analysed body: write the plate's index and the body's faces.

    Inside a part of the film, the placement of a frame without a face is interpolated; frames outside the parts, on
    which no face is drawn, get the nearest placement of their shot. roi: (512, 512, 3) uint8 RGB. roi_face: in ROI
    pixels. Returns the plate's facts, the ROI in the plate's light, its mask, and some of the plate's faces in ROI
    pixels.
    """
    film, track, fps = body.film, body.film.track, body.fps
    faces = list(track.sample.values())
    rest, notes = rest_pose(roi_face, faces), (*body.notes, *turned_note(roi_face, faces))
    shown = turn_to_rest(roi_face, rest)
    placements = place_faces(shown, film, fps)
    lights = _lights(film, fps)
    lit = _relit(roi, roi_face, track, lights)
    gains, offsets = light_transfer(measure_light(lit, roi_face), lights)
    blends, count = film.round.blends, len(track)
    starts = [shot.first for shot in film.report.shots[1:]]
    new = [at for at, blend in enumerate(blends) if at == 0 or blend.before != blends[at - 1].before + 1]
    save_index(
        folder,
        width=track.size[0],
        height=track.size[1],
        fps=fps,
        sizes=body.frames.sizes,
        placements=with_blends(placements, blends),
        gains=with_blends(gains, blends).astype(np.float32),
        offsets=with_blends(offsets, blends).astype(np.float32),
        openings=with_blends(measure_openings(film), blends).astype(np.float32),
        presence=with_blends(film.shown, blends).astype(np.float32),
        order=film.round.order,
        cuts=np.array([*starts, *(count + at for at in new)], np.int64),
    )
    shapes = [None if face is None else face.shape for face in track.faces]
    fades = [(blend.before, blend.after, blend.weight) for blend in blends]
    save_body_faces(folder, shapes, placements, film.shown, starts, fps, fades)
    bodies = _in_roi(track, placements)
    mask = bound_mask(shown, np.median([face.points[OVAL, :2] for face in bodies], axis=0))
    bodies = [bodies[at] for at in np.linspace(0, len(bodies) - 1, min(len(bodies), BODY_FACES)).round().astype(int)]
    return PlateMeasures(*track.size, fps, count + len(blends), body.kind, rest, notes), lit, mask, bodies


def turned_note(roi_face: Face, faces: list[Face]) -> tuple[str, ...]:
    """Return a sentence if the portrait's face is visibly turned away from the plate's faces, else an empty tuple."""
    yaw, pitch = turned_against(roi_face, faces)
    turned = max(abs(yaw), abs(pitch))
    if turned <= TURNED_SEEN:
        return ()
    if turned <= MAX_REST_DEGREES + TURNED_TOO_FAR:
        return (
            f"The portrait's face is turned {turned:.0f} degrees away from the body's and is turned back to fit: its "
            "far side is drawn from few pixels, and an edge may show at the brow or cheek. A portrait that looks in "
            "the same direction as the body fits better.",
        )
    return (
        f"The portrait's face is turned {turned:.0f} degrees away from the body's, of which {MAX_REST_DEGREES:.0f} can "
        "be corrected, so the host will look to the side. Use a portrait that looks in the same direction as the body.",
    )


def _relit(roi: ImageArray, roi_face: Face, track: FilmTrack, lights: list[SkinLight]) -> ImageArray:
    luma = float(np.median([light.mean[0] for light in lights])) - 16.0
    if not np.isfinite(luma):
        return roi
    plate = np.median(np.array(list(track.colours.values())), axis=0)
    return relight(roi, roi_face, landmark_colours(roi, roi_face), plate, luma)


def _lights(film: Film, fps: float) -> list[SkinLight]:
    """The light of each frame, smoothed within each part only, because light changes abruptly at a cut."""

    def smoothed(first: int, end: int) -> NDArray[np.float64]:
        part = smooth_lights([None if face is None else face.light for face in film.track.faces[first:end]], fps)
        return np.array([np.concatenate([light.mean, light.spread]) for light in part])

    rows = by_part(film.parts, film.report.shots, len(film.track), smoothed)
    return [SkinLight(row[:3], row[3:]) for row in rows]


def _in_roi(track: FilmTrack, placements: NDArray[np.float64]) -> list[Face]:
    """The plate's faces in ROI pixels, for the frames of the track's sample."""
    return [face.moved(similarity.invert(placements[number])) for number, face in sorted(track.sample.items())]


def fit_image(image: ImageArray) -> tuple[ImageArray, NDArray[np.float64]]:
    """Return the image with even sides of at most 1920 pixels, and the (2, 3) matrix from old to new pixels."""
    height, width = image.shape[:2]
    scale = min(1.0, MAX_SIDE_PX / max(height, width))
    if scale == 1.0:  # crop an odd row or column instead of resampling
        even = image[: max(2, height // 2 * 2), : max(2, width // 2 * 2)]
        return np.ascontiguousarray(even), similarity.resize_matrix(1.0, 1.0)
    target = max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
    small = cv2.resize(image, target, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), similarity.resize_matrix(target[0] / width, target[1] / height)


def place_faces(roi_face: Face, film: Film, fps: float) -> NDArray[np.float64]:
    """Return (N, 2, 3) float64 placements of the ROI on the film's faces, bridged and smoothed within each part.

    All are corrected by the mean difference to the faces that were measured more precisely.
    """
    source = roi_face.points[STABLE, :2].astype(np.float64)
    faces = film.track.faces
    fitted = {number: similarity.fit(source, face.stable) for number, face in enumerate(faces) if face is not None}

    def placed(first: int, end: int) -> NDArray[np.float64]:
        known = [number for number in range(first, end) if number in fitted]
        flat = np.array([fitted[number] for number in known]).reshape(-1, 6)
        # A similarity's matrix is linear in its four numbers, so entries may be interpolated and averaged one by one.
        bridged = np.stack([np.interp(np.arange(first, end), known, column) for column in flat.T], axis=1)
        return similarity.smooth(bridged.reshape(-1, 2, 3), fps, source.mean(axis=0), roi_face.size / 2)

    placements = by_part(film.parts, film.report.shots, len(faces), placed)
    off = [
        similarity.compose(similarity.invert(fitted[number]), similarity.fit(source, face.points[STABLE, :2]))
        for number, face in film.track.precise.items()
    ]
    if not off:
        return placements
    mean = np.asarray(np.mean(off, axis=0), np.float64)
    return np.array([similarity.compose(placement, mean) for placement in placements])


def measure_openings(film: Film) -> NDArray[np.float32]:
    """Return (N, 3) `Face.opening_ratios` of each frame, interpolated within each part."""
    faces = film.track.faces

    def bridged(first: int, end: int) -> NDArray[np.float64]:
        seen = [(number, face.openings) for number, face in enumerate(faces[first:end], first) if face is not None]
        columns = np.array([openings for _, openings in seen], np.float64).T
        known = [number for number, _ in seen]
        return np.stack([np.interp(np.arange(first, end), known, column) for column in columns], axis=1)

    return by_part(film.parts, film.report.shots, len(faces), bridged).astype(np.float32)


def _at_most(images: Iterator[SourceFrame], count: int, note: str, notes: list[str]) -> Iterator[SourceFrame]:
    for number, image in enumerate(images):
        if number >= count:
            notes.append(note)
            return
        yield image


def read_upright(path: Path) -> tuple[ImageArray, ImageArray | None, tuple[str, ...]]:
    """Read a still upright: return (H, W, 3) uint8 RGB, (H, W) uint8 alpha or None, and notes for the user.

    If its face shows that it is not upright after applying its metadata, it is turned, and a note says so. Raises
    StudioError like `read_cut_out`.
    """
    rgb, alpha = read_cut_out(path)
    quarters = quarters_to_upright(rgb)
    if not quarters:
        return rgb, alpha, ()
    lay = "is upside down" if quarters == 2 else "lies on its side"
    note = f"{path.name} {lay}, and its file does not say so; it was turned upright by its face."
    return turned(rgb, quarters), None if alpha is None else turned(alpha, quarters), (note,)


def _open_image(body: Path, notes: list[str]) -> tuple[float, int, Iterator[SourceFrame]]:
    rgb, alpha, note = read_upright(body)
    notes += note
    return STILL_FPS, 1, iter([_fitted(rgb, alpha)])


def _fitted(rgb: ImageArray, alpha: ImageArray | None) -> SourceFrame:
    return SourceFrame(fit_image(rgb)[0], None if alpha is None else fit_image(alpha)[0])


def _open_video(body: Path, notes: list[str]) -> tuple[float, int, Iterator[SourceFrame]]:
    reader = VideoReader(body, max_side=MAX_SIDE_PX)
    fps = min(60.0, max(1.0, float(reader.fps)))
    seconds = min(reader.duration or MAX_PLATE_S, MAX_PLATE_S)
    return fps, round(seconds * fps), _with_damage_notes(reader, _at_constant_rate(reader, fps), fps, notes)


def _with_damage_notes(
    reader: VideoReader, images: Iterator[SourceFrame], fps: float, notes: list[str]
) -> Iterator[SourceFrame]:
    """Yield the images, and afterwards append notes on frames that could not be decoded and on a truncated file."""
    count = 0
    for image in images:
        count += 1
        yield image
    notes += breaks_off(reader.name, count / fps, reader.promised)
    if note := reader.damage.sentence(reader.name):
        notes.append(note)


def _at_constant_rate(reader: VideoReader, fps: float) -> Iterator[SourceFrame]:
    """Yield a video's frames at a constant rate, because a plate has one and phones record unevenly."""
    with reader:
        shown: SourceFrame | None = None
        number = 0
        for pts, rgb, alpha in reader.cut_out():
            # Half a frame of tolerance, so that jitter in the time stamps neither repeats nor drops frames.
            while shown is not None and (number + 0.5) * US / fps <= pts:
                yield shown
                number += 1
            shown = _fitted(rgb, alpha)
        if shown is not None:
            yield shown
