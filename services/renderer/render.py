"""Renders a driver file on an avatar, with the very functions that live uses."""

import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal

from services.compositor.compose import Composer
from services.compositor.transition import Transition
from services.generator.engine import RATE, Driving, Engine, RoiFrame, Session, VoiceBlock
from services.generator.engines import load
from services.renderer.sound import mux_sound
from shared.avatar import Avatar
from shared.clock import US
from shared.errors import StudioError
from shared.face_follower import FaceFollower
from shared.media import VideoReader, has_pictures, open_container, read_sound
from shared.mp4 import Mp4Writer

MAX_SIDE = 640  # of the driver's picture, as in capture
Progress = Callable[[int, int], None]


def render(
    avatar: Avatar,
    driver: Path,
    out: Path,
    *,
    engine: str = "mesh",
    rate: Fraction = RATE,
    label: bool = True,
    idle_after: float = 0.5,
    progress: Progress = lambda done, total: None,
) -> int:
    """Write `out`, an MP4 with the driver's frame rate, length and sound; returns the number of pictures.

    driver: a video, or sound alone, which then drives as a voice. rate: pictures a second for a voice.
    progress: called with pictures done and expected. `out` appears whole or not at all. Raises StudioError.
    """
    if out.suffix.lower() != ".mp4":
        raise StudioError(f"{out.name} should end in .mp4, which is what a render is.")
    if out.exists() and driver.exists() and out.samefile(driver):
        raise StudioError("The output would replace the driver; choose another name.")
    chosen = load(engine)
    if reason := chosen.unavailable():
        raise StudioError(reason)
    try:
        folder = tempfile.TemporaryDirectory(prefix=".studio-render-", dir=out.absolute().parent)
    except OSError as error:
        raise StudioError(f"{out} cannot be written ({error.strerror}); choose another place.") from None
    with folder as name:
        picture = Path(name) / "picture.mp4"
        if has_pictures(driver):
            _check(chosen, "motion")
            with VideoReader(driver, max_side=MAX_SIDE) as reader:
                frames = _roi_frames(reader, chosen.open(avatar), int(idle_after * US))
                total, heard = round(reader.duration * reader.fps), reader.has_audio
                count = _render_picture(frames, reader.fps, total, Composer(avatar), picture, label, progress)
        else:
            _check(chosen, "voice")
            frames = _spoken_frames(driver, chosen.open(avatar, rate))
            total, heard = _ticks(driver, rate), True
            count = _render_picture(frames, rate, total, Composer(avatar), picture, label, progress)
        if heard:
            mux_sound(picture, driver, out)
        else:
            picture.replace(out)
    return count


def _check(engine: Engine, driver: Literal["motion", "voice"]) -> None:
    """Raises StudioError for an engine that is not driven so."""
    if driver not in engine.spec.driven_by:
        needs = "a face on video" if driver == "voice" else "a voice"
        raise StudioError(f"{engine.spec.title} is moved by {needs}; give such a driver or choose the engine mesh.")


def _render_picture(
    frames: Iterator[RoiFrame | int],
    fps: Fraction,
    total: int,
    composer: Composer,
    path: Path,
    label: bool,
    progress: Progress,
) -> int:
    plate = composer.avatar.plate
    faded = Transition()
    faded.jump(face=True)
    shown: RoiFrame | None = None
    done = 0
    with Mp4Writer(path, plate.width, plate.height, fps, sound=False) as writer:
        for frame in frames:
            shown = frame if isinstance(frame, RoiFrame) else shown
            pts = frame.pts if isinstance(frame, RoiFrame) else frame
            opacity = faded.step(pts, isinstance(frame, RoiFrame))
            index = plate.index(pts)
            composed = composer.compose(
                composer.background(index), index, shown.pixels if shown else None, opacity, label
            )
            writer.picture(composed.picture, pts=pts)
            done += 1
            progress(done, max(total, done))
    return done


def _roi_frames(reader: VideoReader, session: Session, idle_after: int) -> Iterator[RoiFrame | int]:
    """The face for each driver picture, or that picture's pts where the engine has none to show."""
    follower = FaceFollower()
    last_face: int | None = None
    for pts, rgb in reader:
        found = follower.follow(rgb, pts)
        if found is not None:
            last_face = pts
        if found is None and (last_face is None or pts - last_face > idle_after):
            idle = session.idle(pts)
            yield from idle or (pts,)
            continue
        face, neutral = found if found is not None else (None, None)
        yield from session.step(Driving(pts, face, neutral, rgb))
    yield from session.flush()


def _spoken_frames(driver: Path, session: Session) -> Iterator[RoiFrame | int]:
    """The face for each tick of a voice, from 0 on."""
    origin: int | None = None
    for pts, samples in read_sound(driver):
        origin = pts if origin is None else origin
        yield from session.hear(VoiceBlock(pts - origin, samples))
    yield from session.flush()


def _ticks(driver: Path, rate: Fraction) -> int:
    """About how many pictures a voice will have."""
    with open_container(driver) as container:
        return round((container.duration or 0) * rate / US)
