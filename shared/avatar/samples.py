"""The two sample avatars, made on demand from the public-domain portrait in this folder."""

import tempfile
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar.build import FilmChoice, add_avatar
from shared.avatar.model import avatar_folder
from shared.media.colour import rgb_to_i420
from shared.media.image_file import write_pixels
from shared.media.mp4 import Mp4Writer
from shared.media.still import read_image
from shared.runtime.file_lock import one_at_a_time
from shared.runtime.progress import StageProgress

SAMPLE, SAMPLE_VIDEO = SAMPLES = "sample", "sample-video"  # made on demand
RIGHTS = (
    "Official NASA portrait of astronaut Eileen Collins, in the public domain as a work of the United States"
    " government. It shows a real person: a sample only, imply no endorsement."
)
PORTRAIT_SIDE_PX = 1024
SECONDS, FPS = 5, 25
CROP = 1.05  # enlargement of the body video, so that swaying shows no border
SHARPEN = 0.4


def ensure_sample_avatars(home: Path, progress: StageProgress = lambda stage, done: None) -> None:
    """Build the avatars `sample` and `sample-video` unless they exist."""
    if all(avatar_folder(home, name).exists() for name in SAMPLES):
        return
    with samples_lock(home, progress):
        if not avatar_folder(home, SAMPLE).exists():
            add_sample_avatar(home, progress)
        if not avatar_folder(home, SAMPLE_VIDEO).exists():
            _add_sample_video(home, progress)


def samples_lock(home: Path, progress: StageProgress) -> AbstractContextManager[None]:
    """Return a lock against other processes that make samples in this home; check again what exists once it is held.

    Raises OSError.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return one_at_a_time(home / "samples.lock", lambda: progress("waiting for another studio's samples", 0.0))


def _add_sample_video(home: Path, progress: StageProgress) -> None:
    image = sample_portrait()
    with tempfile.TemporaryDirectory() as scratch:
        portrait, body = Path(scratch, "astronaut.png"), Path(scratch, "astronaut-body.mp4")
        write_pixels(portrait, image[..., ::-1])
        write_body_video(body, image)
        add_avatar(home, SAMPLE_VIDEO, portrait, body, RIGHTS, progress, film=FilmChoice(keep=False))


def add_sample_avatar(home: Path, progress: StageProgress) -> Path:
    """Build the avatar `sample`, and return its folder."""
    with tempfile.TemporaryDirectory() as scratch:
        portrait = Path(scratch, "astronaut.png")
        write_pixels(portrait, sample_portrait()[..., ::-1])
        return add_avatar(home, SAMPLE, portrait, None, RIGHTS, progress)


def astronaut() -> NDArray[np.uint8]:
    """Return head and shoulders of the NASA portrait, as in scikit-image: (512, 512, 3) uint8 RGB."""
    return read_image(Path(__file__).with_name("astronaut.png"))


def sample_portrait() -> NDArray[np.uint8]:
    """Return the enlarged portrait of the astronaut: (1024, 1024, 3) uint8 RGB."""
    large = cv2.resize(astronaut(), (PORTRAIT_SIDE_PX, PORTRAIT_SIDE_PX), interpolation=cv2.INTER_LANCZOS4)
    blurred = cv2.GaussianBlur(large, (0, 0), 2.0)
    return np.asarray(cv2.addWeighted(large, 1 + SHARPEN, blurred, -SHARPEN, 0), np.uint8)


def body_motion(number: int) -> NDArray[np.float64]:
    """(2, 3) matrix from the portrait's pixels to frame `number` of the body video.

    A slow sway from the hips and a breath of half a per cent, both of whole periods so that the video could be looped.
    """
    turn = 2 * np.pi * number / (SECONDS * FPS)
    angle = np.radians(0.8 * np.sin(turn))
    scale = CROP * (1 + 0.005 * np.sin(2 * turn))
    pivot = np.array([PORTRAIT_SIDE_PX / 2, PORTRAIT_SIDE_PX * 0.95])
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    sway = np.array([5.0 * np.sin(turn), 2.0 * np.sin(2 * turn)])
    centre = np.array([PORTRAIT_SIDE_PX / 2, PORTRAIT_SIDE_PX / 2])
    # Crop about the image's centre, rotate about the hips.
    shift = (pivot - linear @ pivot) + (CROP - 1) * (pivot - centre) + sway
    return np.column_stack([linear, shift])


def write_body_video(path: Path, image: NDArray[np.uint8], count: int = SECONDS * FPS) -> None:
    """Write an MP4 of the swaying portrait: five seconds, or their first `count` frames."""
    with Mp4Writer(
        path, PORTRAIT_SIDE_PX, PORTRAIT_SIDE_PX, Fraction(FPS), sound=False, preset="ultrafast", crf=16
    ) as writer:
        for number in range(count):
            frame = cv2.warpAffine(
                image,
                body_motion(number),
                (PORTRAIT_SIDE_PX, PORTRAIT_SIDE_PX),
                flags=cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REFLECT_101,
            )
            writer.frame(rgb_to_i420(np.asarray(frame, np.uint8)), index=number)
