"""Shared material of StableAvatar's tests: weights of tiny networks, a short speech, and units in any order."""

import hashlib
import wave
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")
pytest.importorskip("diffusers", reason="diffusers is not installed: `make setup-torch` brings it")
pytest.importorskip("transformers", reason="transformers is not installed: `make setup-torch` brings it")

from engines.clip import CLIP_FILE, Clip, RunContext  # noqa: E402
from engines.stableavatar.engine import StableAvatarEngine  # noqa: E402
from harness.sample_avatar import sample_avatar  # noqa: E402
from harness.tiny.stableavatar import make_weights  # noqa: E402
from shared.avatar.model import Avatar  # noqa: E402
from shared.face.scripted import voice  # noqa: E402
from shared.jobs.graph import UnitSpec  # noqa: E402
from shared.media.reader import VideoReader  # noqa: E402
from shared.runtime.clock import SOUND_RATE_HZ  # noqa: E402

torch.set_num_threads(1)  # such small networks gain nothing from more
RATE = Fraction(25)
SIZE = (160, 160)


@cache
def avatar() -> Avatar:
    return sample_avatar()


@contextmanager
def tiny_weights() -> Iterator[Path]:
    """Make a weights folder with tiny networks, which the settings name."""
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name, "weights")
        make_weights(folder)
        patch.setenv("STUDIO_WEIGHTS", str(folder))
        patch.setenv("PERSONA_STUDIO_CACHE", str(Path(name, "cache")))
        patch.setenv("STUDIO_STABLEAVATAR_STEPS", "2")
        patch.setenv("STUDIO_STABLEAVATAR_REFERENCE", "portrait")  # the sample avatar has no plate
        yield folder


def clip_of(folder: Path, ticks: int, rate: Fraction = RATE, **options: Any) -> Clip:
    """Return a clip of so many frames."""
    driver = folder / f"speech-{ticks}.wav"
    with wave.open(str(driver), "wb") as file:
        file.setparams((1, 2, SOUND_RATE_HZ, 0, "NONE", ""))
        file.writeframes(voice(float(ticks / rate)).tobytes())
    chosen = StableAvatarEngine().options({"overlap": 2, **options})
    return Clip(avatar=avatar(), driver=driver, driven="voice", rate=rate, ticks=ticks, size=SIZE, options=chosen)


class Cut(Exception):
    """Stand-in for the death of a worker."""


class Units:
    """A clip's units, which are done one by one, each in a separate folder."""

    def __init__(self, clip: Clip, folder: Path, low_memory: bool = False) -> None:
        self.clip, self.folder, self.low_memory = clip, folder, low_memory
        self.attempts = 0
        self.previews: list[np.ndarray[Any, Any]] = []

    def do(self, unit: UnitSpec, engine: StableAvatarEngine, cut_after: int | None = None) -> None:
        """Do one unit. cut_after: number of progress reports after which Cut is raised."""
        self.attempts += 1
        scratch, said = self.folder / f"{unit.name}.{self.attempts}", 0
        scratch.mkdir(parents=True)

        def progress(done: int, total: int, preview: Any = None) -> None:
            nonlocal said
            said += 1
            if preview is not None:
                self.previews.append(preview)
            if cut_after is not None and said >= cut_after:
                raise Cut

        def made(name: str) -> Path:
            assert name in unit.needs, (unit.name, name)
            return self.folder / name

        context = RunContext(
            scratch=scratch,
            made=made,
            progress=progress,
            raise_if_cancelled=lambda: None,
            low_memory=self.low_memory,
        )
        engine.run(unit, self.clip, context)
        scratch.rename(self.folder / unit.name)

    def all(self, units: Iterable[UnitSpec], engine: StableAvatarEngine) -> str:
        """Do every unit with one engine; return the hash of the frames."""
        for unit in units:
            self.do(unit, engine)
        return self.frames()

    def frames(self) -> str:
        """Return the number of the clip's frames, and a hash of them."""
        digest, count = hashlib.sha256(), 0
        with VideoReader(self.folder / "clip" / CLIP_FILE) as reader:
            for _, rgb in reader:
                digest.update(rgb.tobytes())
                count += 1
        return f"{count} frames {digest.hexdigest()[:16]}"
