"""A job's avatar, driver and engine, which a worker keeps open from one segment to the next."""

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
    """A job on this machine.

    small: after memory ran out. attribution: words that the engine's licence wants the result to carry, or "". cues:
    what the driver says, where it is to be drawn.
    """

    manifest: Manifest
    avatar: Avatar
    driver: Path
    output: OutputSpec
    small: bool
    attribution: str
    cues: Sequence[Cue] = ()

    def burnt_captions(self, size: FrameSize, first: int = 0) -> CueOverlays | None:
        """Return what is drawn into frames of this size from number `first` on, None where that was not asked for."""
        if not self.output.burn_captions:
            return None
        return CueOverlays(self.cues, self.manifest.plan.fps, size, first)


@dataclass(slots=True, kw_only=True)
class OpenClip(OpenJob):
    """A job of a clip engine. The engine itself keeps what it has loaded."""

    engine: ClipEngine

    @property
    def clip(self) -> Clip:
        """The clip that the engine makes."""
        return planned_clip(
            self.avatar, self.driver, self.manifest.plan, self.output, self.engine.options(self.manifest.look)
        )


@dataclass(slots=True, kw_only=True)
class OpenFrames(OpenJob):
    """A job of a frame engine.

    composer: for the avatar. template: the driver, where it is one. run: the engine on it; `pristine` is its state
    before anything.
    """

    composer: Composer
    template: MotionTemplate | None
    info: EngineInfo
    run: EngineRun
    pristine: dict[str, NDArray[np.generic]]

    def ticks(self, start: int, stop: int, lost: list[int] | None = None) -> Iterator[TrackedTick]:
        """The driver's frames at the ticks of a span. lost: see `shown_frames`."""
        return shown_frames(self.driver, self.manifest.plan.fps, start, stop, FOLLOWED_SIDE_PX, lost)

    def before(self, start: int) -> list[NDArray[np.uint8]]:
        """The last few frames before a tick, for the tracker to warm up on."""
        span = self.ticks(max(0, start - WARM_UP_FRAMES), start) if start else iter(())
        return [rgb for _, rgb, _ in span]


class JobOpener:
    """Opens jobs, one at a time; an engine that is open on the same avatar already is used again."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._last: OpenJob | None = None
        self._follower: FaceFollower | None = None

    @property
    def follower(self) -> FaceFollower:
        """The one follower of all segments: its models take longer to load than many frames take."""
        self._follower = self._follower or FaceFollower()
        return self._follower

    def open_job(self, manifest: Manifest, small: bool) -> OpenJob:
        """Return the job with its avatar and engine opened.

        small: memory ran out before. Raises StudioError.
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
        self._last = None  # the old one is let go of before the new one asks for memory
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
        options = engine.options(manifest.look)  # all of them, as they were where the job was handed in
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
        """What the driver says, where it is to be drawn. Raises StudioError where that is gone."""
        if not output.burn_captions:
            return []
        if (content := self._store.read(manifest.captions_file)) is None:
            raise StudioError("The job's captions are missing in the jobs folder; submit it again.")
        return read_cues(content.decode())

    def _engine(self, manifest: Manifest) -> Engine:
        """Raise StudioError where it is not of the kind that made the manifest."""
        engine = load(manifest.engine, self._settings.engines)
        if isinstance(engine, ClipEngine) != bool(manifest.units):
            raise StudioError(
                f"Engine '{manifest.engine}' differs from the one that the job was made with; submit it again."
            )
        return engine

    def close(self) -> None:
        """Let go of everything: the device is free."""
        self._last = None


def fetch_folder(store: Store, name: str) -> Path:
    """A local folder with the files of one in the store. Raises StudioError where it is not there."""
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
