"""Renders a driver file on an avatar, with the very functions that live uses."""

import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

from services.compositor.compose import Composer
from services.compositor.transition import Transition
from services.generator.engine import Driving, RoiFrame, Session
from services.generator.engines import load
from services.renderer.sound import mux_sound
from shared.avatar import Avatar
from shared.clock import US
from shared.errors import StudioError
from shared.face_follower import FaceFollower
from shared.media import VideoReader
from shared.mp4 import Mp4Writer

MAX_SIDE = 640  # of the driver's picture, as in capture
Progress = Callable[[int, int], None]


def render(
    avatar: Avatar,
    driver: Path,
    out: Path,
    *,
    engine: str = "mesh",
    label: bool = True,
    idle_after: float = 0.5,
    progress: Progress = lambda done, total: None,
) -> int:
    """Write `out`, an MP4 with the driver's frame rate, length and sound; returns the number of pictures.

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
    with folder as name, VideoReader(driver, max_side=MAX_SIDE) as reader:
        picture = Path(name) / "picture.mp4"
        count = _render_picture(
            reader, chosen.open(avatar), Composer(avatar), picture, label, int(idle_after * US), progress
        )
        if reader.has_audio:
            mux_sound(picture, driver, out)
        else:
            picture.replace(out)
    return count


def _render_picture(
    reader: VideoReader,
    session: Session,
    composer: Composer,
    path: Path,
    label: bool,
    idle_after: int,
    progress: Progress,
) -> int:
    plate = composer.avatar.plate
    total = round(reader.duration * float(reader.fps))
    faded = Transition()
    faded.jump(face=True)
    shown: RoiFrame | None = None
    done = 0
    with Mp4Writer(path, plate.width, plate.height, Fraction(reader.fps), sound=False) as writer:
        for frame in _roi_frames(reader, session, idle_after):
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
