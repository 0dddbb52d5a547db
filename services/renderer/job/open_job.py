"""A job with its avatar, driver and engine, which a worker keeps open between segments."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compositing.compose import Composer
from engines.api import Engine, EngineInfo, FrameEngine, MotionTemplate, SessionContext
from engines.clip import Clip, ClipEngine
from engines.guarded import engine_faults, open_session
from engines.registry import load
from services.renderer.job.plan import planned_clip
from services.renderer.pipeline.cue_overlays import CueOverlays
from services.renderer.pipeline.driver import WARM_UP_FRAMES, TrackedTick
from services.renderer.pipeline.engine_run import EngineRun
from shared.avatar.model import Avatar, load_avatar
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.face.follower import FOLLOWED_SIDE_PX, FaceFollower
from shared.jobs.manifest import Manifest
from shared.jobs.store import Store
from shared.media.output_spec import FrameSize, OutputSpec
from shared.media.timeline import shown_frames
from shared.runtime.clock import US
from shared.voices.webvtt import Cue, read_cues


@dataclass(slots=True, kw_only=True)
class OpenJob:
    """A job that is open on this machine.

    small: low-memory mode, used after memory ran out. attribution: text that the engine's licence requires in the
    result, or "". cues: captions to draw into the frames.
    """

    manifest: Manifest
    avatar: Avatar
    driver: Path
    output: OutputSpec
    small: bool
    attribution: str
    cues: Sequence[Cue] = ()

    def burnt_captions(self, size: FrameSize, first: int = 0) -> CueOverlays | None:
        """Return the captions to draw into frames of this size from number `first` on, None if none are to be drawn."""
        if not self.output.burn_captions:
            return None
        return CueOverlays(self.cues, self.manifest.plan.fps, size, first)


@dataclass(slots=True, kw_only=True)
class OpenClip(OpenJob):
    """A job of a clip engine. The engine itself keeps its loaded models."""

    engine: ClipEngine

    @property
    def clip(self) -> Clip:
        """Description of the clip that the engine makes."""
        return planned_clip(
            self.avatar, self.driver, self.manifest.plan, self.output, self.engine.options(self.manifest.look)
        )


@dataclass(slots=True, kw_only=True)
class OpenFrames(OpenJob):
    """A job of a frame engine.

    composer: for the avatar. template: the driver if it is a motion template, else None. run: the engine's session for
    this job; pristine: its state before the first frame.
    """

    composer: Composer
    template: MotionTemplate | None
    info: EngineInfo
    run: EngineRun
    pristine: dict[str, NDArray[np.generic]]

    def ticks(self, start: int, stop: int, lost: list[int] | None = None) -> Iterator[TrackedTick]:
        """Yield the driver's frames at the ticks from `start` to before `stop`. lost: see `shown_frames`."""
        return shown_frames(self.driver, self.manifest.plan.fps, start, stop, FOLLOWED_SIDE_PX, lost)

    def before(self, start: int) -> list[NDArray[np.uint8]]:
        """Return the last WARM_UP_FRAMES driver frames before a tick, for the tracker to warm up."""
        span = self.ticks(max(0, start - WARM_UP_FRAMES), start) if start else iter(())
        return [rgb for _, rgb, _ in span]


class JobOpener:
    """Opens jobs, one at a time; reuses an engine that is already open on the same avatar."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._last: OpenJob | None = None
        self._follower: FaceFollower | None = None

    @property
    def follower(self) -> FaceFollower:
        """The face follower, shared by all segments because its models take longer to load than many frames take."""
        self._follower = self._follower or FaceFollower()
        return self._follower

    def open_job(self, manifest: Manifest, small: bool) -> OpenJob:
        """Return the job with its avatar and engine opened.

        small: use low-memory mode, because memory ran out before. Raises StudioError.
        """
        last = self._last
        if last is not None and last.small == small and last.manifest.id == manifest.id:
            return last
        driver = self._store.fetch(manifest.driver_file)
        output = OutputSpec.from_dict(manifest.output)
        if last is not None and last.small == small and _of_engine(last.manifest) == _of_engine(manifest):
            job = replace(last, manifest=manifest, driver=driver, output=output, cues=self._cues(manifest, output))
            if isinstance(job, OpenFrames):
                job.run = EngineRun(job.run.session, int(manifest.idle_after * US))
                job.template = _template(manifest, self._engine(manifest), driver)
            self._last = job
            return job
        self._last = None  # release the old job before the new one allocates memory
        self._last = self._opened(manifest, driver, output, small)
        return self._last

    def _opened(self, manifest: Manifest, driver: Path, output: OutputSpec, small: bool) -> OpenJob:
        engine = self._engine(manifest)
        engine.check()
        avatar = load_avatar(fetch_folder(self._store, manifest.avatar_files))
        with engine_faults(engine.info.title):
            engine.prepare(avatar)
        if isinstance(engine, ClipEngine):
            return OpenClip(
                manifest=manifest, avatar=avatar, driver=driver, output=output, small=small,
                attribution=engine.info.attribution, engine=engine, cues=self._cues(manifest, output),
            )  # fmt: skip
        assert isinstance(engine, FrameEngine)
        options = engine.options(manifest.look)  # all options, as they were when the job was submitted
        session = open_session(
            engine, avatar, SessionContext(rate=manifest.plan.fps, low_memory=small, options=options)
        )
        run = EngineRun(session, int(manifest.idle_after * US))
        return OpenFrames(
            manifest=manifest, avatar=avatar, driver=driver, output=output, small=small,
            attribution=engine.info.attribution, cues=self._cues(manifest, output), composer=Composer(avatar),
            template=_template(manifest, engine, driver), info=engine.info, run=run, pristine=run.save(),
        )  # fmt: skip

    def _cues(self, manifest: Manifest, output: OutputSpec) -> list[Cue]:
        """Return the captions to draw into the frames, [] for none. Raises StudioError when they are missing."""
        if not output.burn_captions:
            return []
        if (content := self._store.read(manifest.captions_file)) is None:
            raise StudioError("The job's captions are missing in the jobs folder; submit it again.")
        return read_cues(content.decode())

    def _engine(self, manifest: Manifest) -> Engine:
        """Load the job's engine. Raises StudioError if it is of another kind than when the job was submitted."""
        engine = load(manifest.engine, self._settings.engines)
        if isinstance(engine, ClipEngine) != bool(manifest.units):
            raise StudioError(
                f"Engine '{manifest.engine}' differs from the one that the job was made with; submit it again."
            )
        return engine

    def close(self) -> None:
        """Release the open job, so that the memory of its engine is freed."""
        self._last = None


def fetch_folder(store: Store, name: str) -> Path:
    """Return a local folder with the files of a folder in the store. Raises StudioError when that has no files."""
    files = store.list(name)
    if not files:
        raise StudioError(f"{name} is missing in the jobs folder; submit the job again.")
    local = [store.fetch(f"{name}/{file}") for file in files]
    return local[0].parent


def _of_engine(manifest: Manifest) -> tuple[str, dict[str, Any], str, Fraction]:
    return manifest.engine, manifest.look, manifest.avatar_files, manifest.plan.fps


def _template(manifest: Manifest, engine: Engine, driver: Path) -> MotionTemplate | None:
    if manifest.plan.driven != "template" or not isinstance(engine, FrameEngine):
        return None
    return engine.read_template(driver)
