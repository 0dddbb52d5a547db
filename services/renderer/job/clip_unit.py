"""Running the units of a clip engine, and encoding its clip as a single segment for the job's last unit."""

import shutil
import time
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.clip import CLIP_FILE, RunContext
from services.renderer.encode.segment import SegmentWriter, verify_segment
from services.renderer.job.heartbeat import Heartbeat
from services.renderer.job.open_job import OpenClip
from services.renderer.job.preview import JobPreview
from services.renderer.pipeline.draw import draw_marks
from shared.errors import StudioError
from shared.jobs.claims import Claim, completion_record
from shared.jobs.graph import ASSEMBLE
from shared.jobs.store import Store
from shared.media.colour import rgb_to_i420
from shared.media.timeline import read_timeline, shown_frames

PREVIEW_PERIOD_S = 2.0
LENGTH_SLACK_S = 1.0  # difference that a clip's length may have from its driver's, as models make frames in blocks


def clip_unit(store: Store, opened: OpenClip, claim: Claim, heart: Heartbeat) -> dict[str, Any]:
    """Run a unit of the engine and move its files into the store; returns their names. Raises StudioError."""
    graph = opened.manifest.graph
    unit = graph.units[claim.unit]
    scratch = store.scratch(claim.file("/made"))
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        context = RunContext(
            scratch=scratch,
            made=_MadeFiles(store, claim, unit.needs),
            progress=_Progress(heart, JobPreview(store, claim.job)),
            raise_if_cancelled=heart.raise_if_stopped,
            devices=devices,
            low_memory=opened.small,
        )
        opened.engine.run(unit, opened.clip, context)
        heart.raise_if_stopped()
        files = sorted(path.relative_to(scratch).as_posix() for path in scratch.rglob("*") if path.is_file())
        if claim.unit in graph.needs(ASSEMBLE) and CLIP_FILE not in files:
            raise StudioError(
                f"{opened.engine.info.title} left no {CLIP_FILE} in unit {claim.unit}; update the engine."
            )
        for name in files:
            store.move_in(scratch / name, claim.file(f"/{name}"))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return {"files": files}


def write_clip(store: Store, opened: OpenClip, claim: Claim, heart: Heartbeat, part: Path) -> int:
    """Encode the clip, with label and captions, as a single segment at `part`; returns the number of frames.

    Raises StudioError.
    """
    (last,) = opened.manifest.graph.needs(ASSEMBLE)
    plan, title = opened.manifest.plan, opened.engine.info.title
    video = _MadeFiles(store, claim, (last,))(last) / CLIP_FILE
    expected, seconds = plan.ticks / plan.fps, read_timeline(video).frames_end
    if abs(seconds - expected) > LENGTH_SLACK_S:
        raise StudioError(
            f"{title} made {float(seconds):.1f} seconds instead of {float(expected):.1f}; update the engine or report "
            "it."
        )
    frames = shown_frames(video, plan.fps, 0, plan.ticks)
    first = next(frames)
    height, width = (side // 2 * 2 for side in first[1].shape[:2])
    captions = opened.burnt_captions((width, height))
    with SegmentWriter(part, width, height, plan.fps, opened.output) as writer:
        for number, (_, rgb, _) in enumerate(chain([first], frames)):
            frame = rgb_to_i420(np.ascontiguousarray(rgb[:height, :width]))
            draw_marks(frame, opened.output.label, captions.at(number) if captions else None)
            writer.frame(number, frame)
            heart.report_progress(number + 1, plan.ticks)
    verify_segment(part, plan.ticks)
    return plan.ticks


@cache
def devices() -> tuple[str, ...]:
    """Return PyTorch's names of the accelerators that this process can use; ("cpu",) if there is none."""
    if find_spec("torch") is None:
        return ("cpu",)
    import torch  # takes seconds, so it is imported only if an engine asks

    return tuple(f"cuda:{number}" for number in range(torch.cuda.device_count())) or ("cpu",)


@dataclass(frozen=True, slots=True)
class _MadeFiles:
    """Returns the local folder with the files of a unit that the claimed unit needs. Raises StudioError for others."""

    store: Store
    claim: Claim
    needs: tuple[str, ...]

    def __call__(self, unit: str) -> Path:
        if unit not in self.needs:
            raise StudioError(
                f"Unit {self.claim.unit} reads {unit[:60]} without declaring it; add it to the unit's `needs`."
            )
        made = completion_record(self.store, self.claim.job, unit)
        folder = Claim(self.claim.job, unit, made.claim).file("")
        files = [self.store.fetch(f"{folder}/{name}") for name in made.files]
        if not files:
            raise StudioError(f"Unit {unit} wrote no files, so there is nothing to read from it.")
        return files[0].parents[len(Path(made.files[0]).parts) - 1]


@dataclass(slots=True)
class _Progress:
    """Reports an engine's progress to the heartbeat, and shows its preview at most every PREVIEW_PERIOD_S."""

    heart: Heartbeat
    preview: JobPreview
    shown: float = float("-inf")

    def __call__(self, done: int, total: int, preview: NDArray[np.uint8] | None = None) -> None:
        self.heart.report_progress(done, total)
        if preview is not None and time.monotonic() - self.shown >= PREVIEW_PERIOD_S:
            self.shown = time.monotonic()
            self.preview.show_rgb(preview)
