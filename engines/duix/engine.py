"""Duix-Avatar as a clip engine.

The user's own service turns a film of the host and a speech into a video in which the host speaks it.

The service is closed-source and reports a task's end only once. A task is therefore submitted by one process and
watched by one process, and every step is on disk before the next one starts: `engines.duix.data_folder`.
"""

import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from engines.api import EngineInfo, Unavailable
from engines.clip import CLIP_FILE, Clip, ClipEngine, RunContext
from engines.duix.data_folder import DataFolder, copy_file
from engines.duix.film import write_film, write_speech
from engines.duix.pool import Pool, Service, Task
from engines.duix.settings import DuixSettings
from engines.duix.watch import Patience
from shared.errors import StudioError
from shared.jobs.graph import UnitSpec

FILM, VIDEO, CLIP = "film", "video", "clip"  # names of the units
UNITS = (UnitSpec(FILM, weight=1.0), UnitSpec(VIDEO, (FILM,), 30.0), UnitSpec(CLIP, (FILM, VIDEO), 0.1))
FILM_FILE, SPEECH_FILE, TASK_FILE, VIDEO_FILE = "film.mp4", "speech.wav", "task.json", "video.mp4"
MOST_HOURS = 12  # of speech: a longer one does not fit into a WAV file


class DuixEngine(ClipEngine):
    """Clip engine that needs a container with the service, and a licence that the user has accepted."""

    info = EngineInfo(
        name="duix",
        title="Duix-Avatar",
        inputs=frozenset({"voice"}),
        modes=frozenset({"offline"}),
        output="frame",
        aliases=frozenset({"heygem"}),
        attribution="Built with DUIX.COM",
    )
    Settings = DuixSettings
    weights_manifest = Path(__file__).with_name("terms.toml")
    patience: ClassVar[Patience] = Patience()

    def probe(self) -> Unavailable | None:
        """Return what is missing of licence, settings and folders; the services themselves are not contacted."""
        settings = self.duix_settings()
        if not settings.licence_accepted:
            return Unavailable(
                "Duix-Avatar is off until you have read its licences and accept them: set duix.licence_accepted = true "
                "(docs/engines/duix.md says what they ask)."
            )
        if not settings.services:
            return Unavailable(
                "Duix-Avatar needs a service that you run yourself; name its address and its data folder in "
                "duix.services (docs/engines/duix.md says how)."
            )
        for each in settings.services:
            if problem := DataFolder(each.data.expanduser()).problem():
                return Unavailable(
                    f"The data folder {each.data} of the Duix-Avatar service {each.url} {problem} here; correct "
                    "duix.services."
                )
        return None

    def units(self, clip: Clip) -> Sequence[UnitSpec]:
        """Return three units: make the film, get the service's video, copy the clip and clean up at the service."""
        if clip.ticks / clip.rate > MOST_HOURS * 3600:
            raise StudioError(f"Duix-Avatar takes speech of at most {MOST_HOURS} hours; cut it into parts.")
        return UNITS

    def run(self, unit: UnitSpec, clip: Clip, context: RunContext) -> None:
        """Run one unit."""
        if unit.name == FILM:
            write_speech(clip, context.scratch / SPEECH_FILE, context.raise_if_cancelled)
            write_film(clip, context.scratch / FILM_FILE, context.progress)
            # Kept with the unit's files, so that every run of the video unit uses the same task.
            (context.scratch / TASK_FILE).write_text(json.dumps({"code": str(uuid.uuid4())}), encoding="utf-8")
            return
        made = context.made(FILM)
        code = str(json.loads((made / TASK_FILE).read_text(encoding="utf-8"))["code"])
        pool = self._pool(context)
        if unit.name == VIDEO:
            seconds = float(clip.ticks / clip.rate)
            task = Task(code=code, speech=made / SPEECH_FILE, film=made / FILM_FILE, seconds=seconds)
            pool.video(task, context.scratch / VIDEO_FILE)
            context.progress(100, 100)
            return
        _copy(context.made(VIDEO) / VIDEO_FILE, context)
        pool.clean(code)  # the video is published, so no other process will request it
        context.progress(1, 1)

    def duix_settings(self) -> DuixSettings:
        """Return the engine's settings on this machine. Raises StudioError for a wrong one."""
        settings = self.settings()
        assert isinstance(settings, DuixSettings)
        return settings

    def _pool(self, context: RunContext) -> Pool:
        settings = self.duix_settings()
        services = [Service(each.url, DataFolder(each.data.expanduser())) for each in settings.services]
        return Pool(services, lambda percent: context.progress(percent, 100), settings.time_limit, self.patience)


def _copy(video: Path, context: RunContext) -> None:
    try:
        copy_file(video, context.scratch / CLIP_FILE, context.raise_if_cancelled)
    except OSError as error:
        raise StudioError(f"The clip cannot be saved ({error.strerror}); free some disk space, then retry.") from None
