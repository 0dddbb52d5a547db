"""Motion templates, and a jobs folder whose jobs play them."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.liveportrait.motion.keypoints import Motion
from engines.liveportrait.motion.template import Template
from services.renderer.job.foreground import render
from services.renderer.job.open_job import Opener
from services.renderer.job.step import Worker
from services.renderer.job.submit import Request, submit
from shared.avatar.model import load_avatar
from shared.config.settings import Settings
from shared.jobs import status
from shared.jobs.store import LocalStore
from shared.media.output_spec import Output

FRAMES, FPS = 13, 12.5
SEGMENT = 0.4  # seconds: five frames in each of two segments and three in the last


@dataclass
class Farm:
    """A jobs folder, and how jobs in it are done."""

    home: Path
    store: LocalStore
    settings: Settings

    def submit(self, driver: Path, engine: str = "player", output: Output | None = None) -> str:
        request = Request(self.home / "avatars" / "sample", driver, engine, output=output or Output())
        return submit(self.store, request, self.settings).id

    def result(self, job: str) -> Path:
        """What comes of it when another worker does every step: nothing is carried over but what stands on disk."""
        while (step := Worker(self.store, Opener(self.store, self.settings), "w").advance(job)).outcome != "nothing":
            assert step.outcome == "done", step
        return self.store.root / "jobs" / job / status.status(self.store, job).result

    def render(self, driver: Path, out: Path, engine: str = "player") -> int:
        return render(
            load_avatar(self.home / "avatars" / "sample"), driver, out, engine=engine, engines=self.settings.engines,
            segment_seconds=self.settings.segment_seconds,
        )  # fmt: skip


def template(frames: int = FRAMES, fps: float = FPS) -> Template:
    chance = np.random.default_rng(3)

    def one() -> Motion:
        exp = chance.normal(0, 1, (21, 3)).astype(np.float32)
        return Motion(np.ones((), np.float32), np.eye(3, dtype=np.float32), exp, np.zeros(3, np.float32))

    motions = [one() for _ in range(frames)]
    return Template(motions, fps, None, motions[0])


def published(path: Path, made: Template) -> Path:
    """The same in the original's own format."""
    motion = [
        {"scale": m.scale[None, None], "R": m.rotation[None], "exp": m.exp[None], "t": m.t[None]} for m in made.motions
    ]
    path.write_bytes(pickle.dumps({"n_frames": len(motion), "output_fps": made.fps, "motion": motion}))
    return path
