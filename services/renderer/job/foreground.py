"""Rendering of a driver file in the foreground: a temporary job whose units this process runs one after another."""

import os
import tempfile
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

from engines.api import NOTHING, RATE_FPS
from engines.registry import NONE
from services.renderer.job.open_job import JobOpener
from services.renderer.job.plan import SEGMENT_S
from services.renderer.job.step import UnitWorker
from services.renderer.job.submit import JobRequest, submit_to_store
from shared.avatar.model import Avatar
from shared.config.settings import DEFAULT_ENGINE, Settings
from shared.errors import NoSpaceError, StudioError
from shared.jobs.claims import failures
from shared.jobs.manifest import Manifest, folder
from shared.jobs.status import result
from shared.jobs.store import LocalStore
from shared.media.output_spec import OutputSpec
from shared.runtime.files import check_output
from shared.runtime.private_files import share
from shared.runtime.progress import FrameProgress
from shared.scene import OptionValue
from shared.voices.webvtt import WEBVTT_SUFFIX, remove_captions


def render_file(
    avatar: Avatar,
    driver: Path,
    out: Path,
    *,
    engine: str = DEFAULT_ENGINE,
    engines: Mapping[str, str] = NONE,
    options: Mapping[str, OptionValue] = NOTHING,
    captions: Path | None = None,
    rate: Fraction = RATE_FPS,
    output: OutputSpec | None = None,
    idle_after: float = 0.5,
    segment_seconds: float = SEGMENT_S,
    progress: FrameProgress = lambda done, total: None,
    told: Callable[[str], None] = lambda note: None,
) -> int:
    """Render `out` with the driver's length and sound, and its frame rate unless `output` has another.

    Returns the number of frames.

    driver: a video; a sound file, which drives as a voice; or a motion template, which has no sound. engines: see
    `load`. options: options of the engine by name; others have their defaults from the settings. captions: WebVTT of
    the driver's speech, copied beside `out`. rate: frames per second for a voice. progress: called with the finished
    share of the work, converted to frames, and the number of frames. told: called with each note about the driver, such
    as how much of it could not be read. `out` appears complete or not at all. Raises StudioError.
    """
    output = output or OutputSpec()
    output.check_path(out)
    check_output(driver, out)
    settings = Settings(engines=dict(engines), fps=float(rate), segment_seconds=segment_seconds, idle_after=idle_after)
    request = JobRequest(avatar.folder, driver, engine, output=output, options=options, captions=captions)
    try:
        with tempfile.TemporaryDirectory(prefix=".studio-render-", dir=out.absolute().parent) as name:
            store = _PassingStore(Path(name), durable=False)
            manifest = submit_to_store(store, request, settings)
            worker = UnitWorker(store, JobOpener(store, settings), "render", told=_JobProgress(manifest, progress))
            while not (made := result(store, manifest.id)):
                _advance(worker, manifest)
            rendered = store.fetch(f"{folder(manifest.id)}/{made.file}")
            share(rendered)
            captions = out.with_suffix(WEBVTT_SUFFIX)
            if made.captions:
                beside = store.fetch(f"{folder(manifest.id)}/{made.captions}")
                share(beside)
                os.replace(beside, captions)
            else:
                remove_captions(captions)
            os.replace(rendered, out)
    except NoSpaceError:
        raise NoSpaceError(f"There is no space left for {out}; free some and render it again.") from None
    for note in made.notes:
        told(note)
    ticks = made.ticks
    progress(ticks, ticks)
    return ticks


class _PassingStore(LocalStore):
    """A temporary store of one process, in which files are symbolic links where the disk supports them.

    A link suffices because the store is deleted before its files can change. The store uses no feature of the file
    system that a memory card or a network share lacks.
    """

    def put(self, source: Path, name: str) -> None:
        path = self._path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(source.absolute())
        except OSError:
            super().put(source, name)

    def create(self, name: str, content: bytes) -> bool:
        if self._path(name).exists():
            return False
        self.write(name, content)
        return True

    def room(self) -> None:
        return None  # not checked: a small render fits on a disk that is nearly full


def _advance(worker: UnitWorker, manifest: Manifest) -> None:
    """Run the next unit. Raises StudioError when it fails, unless it should be retried.

    A unit is retried once, in low-memory mode, after it has run out of memory.
    """
    step = worker.advance(manifest.id)
    if step.outcome == "done":
        return
    if step.outcome == "no_space":
        raise NoSpaceError(step.reason)
    failed = [each.kind for each in failures(worker.store, manifest.id, step.unit)] if step.unit else []
    if failed != ["memory"]:
        raise StudioError(step.reason) from step.error


class _JobProgress:
    """Converts the progress of a job's units, which run one after another, to that of the whole job in frames."""

    def __init__(self, manifest: Manifest, told: FrameProgress) -> None:
        self._graph, self._ticks, self._told = manifest.graph, manifest.plan.ticks, told
        self._unit, self._before = "", 0.0

    def __call__(self, unit: str, done: int, total: int) -> None:
        if unit != self._unit:
            self._before += self._graph.units[self._unit].weight if self._unit else 0.0
            self._unit = unit
        share = min(1.0, done / total) if total > 0 else 0.0
        whole = (self._before + self._graph.units[unit].weight * share) / self._graph.weight
        self._told(int(whole * self._ticks), self._ticks)
