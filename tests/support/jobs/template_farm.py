"""Motion templates, and a jobs folder whose jobs play them."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.liveportrait.motion.keypoints import KeypointMotion
from engines.liveportrait.motion.template import LivePortraitTemplate
from services.renderer.job.foreground import render_file
from services.renderer.job.open_job import JobOpener
from services.renderer.job.step import UnitWorker
from services.renderer.job.submit import JobRequest, submit_to_store
from shared.avatar.model import load_avatar
from shared.config.settings import Settings
from shared.jobs import status
from shared.jobs.store import LocalStore
from shared.media.output_spec import OutputSpec

FRAMES, FPS = 13, 12.5
SEGMENT_S = 0.4  # seconds: five frames in each of two segments and three in the last


@dataclass
class TemplateFarm:
    """A jobs folder, and functions to submit jobs and to render them."""

    home: Path
    store: LocalStore
    settings: Settings

    def submit(self, driver: Path, engine: str = "player", output: OutputSpec | None = None) -> str:
        request = JobRequest(self.home / "avatars" / "sample", driver, engine, output=output or OutputSpec())
        return submit_to_store(self.store, request, self.settings).id

    def result(self, job: str) -> Path:
        """Do each step of a job with a new worker, so that only the state on disk is carried over; return its file."""
        while (
            step := UnitWorker(self.store, JobOpener(self.store, self.settings), "w").advance(job)
        ).outcome != "nothing":
            assert step.outcome == "done", step
        return self.store.root / "jobs" / job / status.status(self.store, job).result

    def render(self, driver: Path, out: Path, engine: str = "player") -> int:
        return render_file(
            load_avatar(self.home / "avatars" / "sample"), driver, out, engine=engine, engines=self.settings.engines,
            segment_seconds=self.settings.segment_seconds,
        )  # fmt: skip


def template(frames: int = FRAMES, fps: float = FPS) -> LivePortraitTemplate:
    chance = np.random.default_rng(3)

    def one() -> KeypointMotion:
        exp = chance.normal(0, 1, (21, 3)).astype(np.float32)
        return KeypointMotion(np.ones((), np.float32), np.eye(3, dtype=np.float32), exp, np.zeros(3, np.float32))

    motions = [one() for _ in range(frames)]
    return LivePortraitTemplate(motions, fps, None, motions[0])


def published(path: Path, made: LivePortraitTemplate) -> Path:
    """Write a template in the original's own format."""
    motion = [
        {"scale": m.scale[None, None], "R": m.rotation[None], "exp": m.exp[None], "t": m.t[None]} for m in made.motions
    ]
    path.write_bytes(pickle.dumps({"n_frames": len(motion), "output_fps": made.fps, "motion": motion}))
    return path
