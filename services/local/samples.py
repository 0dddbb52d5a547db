"""Two sample avatars and a sample driver, for a first run."""

import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from engines.api import Driving
from engines.registry import load_frame_engine
from shared.avatar.model import Avatar, avatar_folder, load_avatar
from shared.avatar.samples import SAMPLE, add_sample_avatar, ensure_sample_avatars, samples_lock
from shared.config.settings import DEFAULT_ENGINE
from shared.config.token import make_private
from shared.errors import StudioError
from shared.face.scripted import SCRIPT_S, perform, voice
from shared.media.colour import rgb_to_i420
from shared.media.mp4 import Mp4Writer
from shared.runtime.clock import US


def ensure_samples(
    home: Path, progress: Callable[[str, float], None], *, avatars: bool = True, driver: bool = True
) -> None:
    """Build the sample avatars and the sample driver, each if requested and missing. Raises StudioError."""
    try:
        make_private(home)
        if avatars:
            ensure_sample_avatars(home, progress)
        if driver:
            ensure_sample_driver(home, progress)
    except OSError as error:
        raise StudioError(
            f"The studio's home {home} cannot be used ({error.strerror}); set another with STUDIO_HOME."
        ) from None


FPS = 25


def sample_driver(home: Path) -> Path:
    """Return the path of the sample driver in a studio's home."""
    return home / "drivers" / "sample.mp4"


def ensure_sample_driver(home: Path, progress: Callable[[str, float], None] = lambda stage, done: None) -> Path:
    """Render the sample driver unless it exists, and return its path.

    If the home has no sample avatar, one is built in a temporary folder for this purpose.
    """
    path = sample_driver(home)
    if path.exists():
        return path
    with samples_lock(home, progress), tempfile.TemporaryDirectory(prefix="studio-sample-") as scratch:
        if path.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        own = avatar_folder(home, SAMPLE)
        _render_driver(load_avatar(own if own.exists() else add_sample_avatar(Path(scratch), progress)), path, progress)
    return path


def _render_driver(avatar: Avatar, path: Path, progress: Callable[[str, float], None]) -> None:
    session = load_frame_engine(DEFAULT_ENGINE).open(avatar)
    side = avatar.roi.shape[0]
    count = round(SCRIPT_S * FPS)
    with Mp4Writer(path, side, side, Fraction(FPS), sound=True, crf=18) as writer:
        for number in range(count):
            pts = number * US // FPS
            driving = Driving(pts, perform(avatar.face, number / FPS), avatar.face)
            for frame in session.step(driving):
                writer.frame(rgb_to_i420(frame.pixels[..., :3].copy()), index=number)
            progress("sample driver", (number + 1) / count)
        writer.sound(voice(SCRIPT_S), 0)
