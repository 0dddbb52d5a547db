"""Duix-Avatar with a stand-in service: short waits, a driven clock, and a film and a speech for a task."""

import wave
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import cv2
import httpx2
import numpy as np
import simplejpeg
from pydantic_settings import SettingsConfigDict

from engines.duix import client
from engines.duix.data_folder import DataFolder
from engines.duix.engine import DuixEngine
from engines.duix.pool import Pool, Service, Task
from engines.duix.settings import DuixSettings
from engines.duix.watch import Patience
from shared.avatar.manifest import AvatarManifest
from shared.avatar.model import ROI_SIZE_PX, Avatar, load_avatar
from shared.avatar.plate import save_index
from shared.face.landmarks import POINTS
from shared.media.colour import rgb_to_i420
from shared.media.mp4 import Mp4Writer
from shared.runtime.clock import SOUND_RATE_HZ
from tests.support.engines.duix.service import DuixStandIn

FRAMES, FPS = 25, 25
QUICK = Patience(poll=0.05, look=0.02, grace=0.3, file=0.3, silence=20.0, first_pause=0.1, longest_pause=0.4)
RARE = Patience(look=0.5)
ENGINES = {
    "quickduix": "tests.support.engines.duix.material:QuickDuix",
    "rareduix": "tests.support.engines.duix.material:RareDuix",
}
client.TIMEOUT = httpx2.Timeout(120.0)  # a stand-in may be slow on a busy machine
CODE = "0f9d3c1e-5a3e-4c3b-9a51-2f2f6d8a7b10"


class QuickSettings(DuixSettings):
    """The engine's settings in another table."""

    TABLE: ClassVar[str] = "quickduix"
    model_config = SettingsConfigDict(env_prefix="STUDIO_QUICKDUIX_")


class QuickDuix(DuixEngine):
    """The engine with short waits, under another name, because an installed engine's name takes precedence."""

    info = replace(DuixEngine.info, name="quickduix", aliases=frozenset({"quickgem"}))
    Settings = QuickSettings
    patience = QUICK


class RareDuix(QuickDuix):
    """`QuickDuix` that queries the service only once an hour, and just waits in between."""

    info = replace(QuickDuix.info, name="rareduix", aliases=frozenset())
    patience = replace(QUICK, poll=3600.0)


@dataclass
class PollerClock:
    """A clock that advances only by sleeping."""

    now: float = 1000.0
    due: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for each in [each for each in self.due if each[0] <= self.now]:
            self.due.remove(each)
            each[1]()

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        self.due.append((self.now + seconds, do))


class Cancelled(Exception):
    """Stand-in for the exception that the studio raises in a unit that must stop."""


@dataclass
class Client:
    """One process's view of the services, on a clock.

    patience: the engine's, but with fewer checks for a cancellation. percents: reported progress. stop_at: percent at
    which the client is cancelled.
    """

    services: list[DuixStandIn]
    clock: PollerClock
    patience: Patience = RARE
    percents: list[int] = field(default_factory=list)
    stop_at: int | None = None

    def pool(self) -> Pool:
        services = [Service(each.url, DataFolder(each.data)) for each in self.services]
        return Pool(services, self._told, 10.0, self.patience, self.clock, self.clock.sleep)

    def _told(self, percent: int) -> None:
        self.percents.append(percent)
        if self.stop_at is not None and percent >= self.stop_at:
            raise Cancelled


def small_avatar(folder: Path, *, own_plate: bool = True) -> Avatar:
    """Make an avatar of flat colours on a plate of four frames, 96x64.

    With `own_plate=False` its face is a green oval, placed a step further to the right on each frame.
    """
    folder.mkdir(parents=True)
    shades, placements = (60, 90, 120, 150), []
    jpegs = list[bytes]()
    for number, shade in enumerate(shades):
        rgb = np.full((64, 96, 3), (shade, 40, 200 - shade), np.uint8)
        jpegs.append(simplejpeg.encode_jpeg(rgb, 95, colorsubsampling="420"))
        placements.append([[48 / ROI_SIZE_PX, 0, 16 + 4 * number], [0, 48 / ROI_SIZE_PX, 8]])
    (folder / "plate.mjpg").write_bytes(b"".join(jpegs))
    save_index(
        folder, width=96, height=64, fps=12.5, sizes=[len(each) for each in jpegs], placements=np.array(placements),
        gains=np.ones((4, 3), np.float32), offsets=np.zeros((4, 3), np.float32),
    )  # fmt: skip
    side = np.linspace(-1, 1, ROI_SIZE_PX)
    oval = (side[:, None] ** 2 + side[None] ** 2 < 0.5).astype(np.uint8) * 255
    cv2.imwrite(str(folder / "mask.png"), oval)
    cv2.imwrite(str(folder / "roi.png"), np.full((ROI_SIZE_PX, ROI_SIZE_PX, 3), (60, 180, 60), np.uint8))
    points = np.full((POINTS, 3), 256, np.float32)
    np.savez(folder / "face.npz", points=points, portrait_to_roi=np.eye(2, 3))
    AvatarManifest(schema=1, name=folder.name, rights="made here", own_plate=own_plate, rest=(0.0, 0.0)).save(folder)
    return load_avatar(folder)


def task(folder: Path, code: str = CODE, frames: int = FRAMES) -> Task:
    """Return a task with a small film and a speech of its length."""
    film, speech = folder / "film.mp4", folder / "speech.wav"
    if not film.exists():
        with Mp4Writer(film, 32, 32, Fraction(FPS), sound=False) as writer:
            for number in range(frames):
                writer.frame(rgb_to_i420(np.full((32, 32, 3), 8 * number, np.uint8)), index=number)
        tone = (np.sin(np.arange(frames * SOUND_RATE_HZ // FPS) * 0.05) * 8000).astype("<i2")
        with wave.open(str(speech), "wb") as file:
            file.setparams((1, 2, SOUND_RATE_HZ, 0, "NONE", ""))
            file.writeframes(tone.tobytes())
    return Task(code=code, speech=speech, film=film, seconds=frames / FPS)
