"""`studio live`: build missing samples, start a channel, print its address and stop it cleanly."""

import os
import sys
import time
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import SecretStr
from rich.console import Console

from cli.progress import progress_bar, stages
from engines.catalog import check_driver_template, check_engine, options_to_start_with
from engines.registry import NONE, file_driver
from services.local.channel_supervisor import Supervisor
from services.local.livekit_server import LiveKitServer
from services.local.render_farm import FarmBeside
from services.local.samples import ensure_samples
from shared.avatar.model import avatar_folder, load_avatar
from shared.avatar.samples import SAMPLES
from shared.config.settings import Settings, openable_host
from shared.config.token import operator_token
from shared.driver_ref import FORMS, DriverKind, DriverRef
from shared.errors import StudioError
from shared.face.networks.files import networks_fault
from shared.runtime.stop_signals import TERMINAL, StopSignals


def scene_driver_for_file(given: str, engines: Mapping[str, str] = NONE) -> str:
    """Return the scene's name of a driver that was given on the command line.

    engines: see `engines.registry.load`. Raises StudioError for a file that is not there.
    """
    ref = DriverRef.of_setting(given)
    if ref.path is None and ref.kind is not DriverKind.UNKNOWN:
        return ref.word
    path = ref.path.expanduser().absolute() if ref.path else None
    if path is None or not path.is_file():
        raise StudioError(
            f"There is no driver '{given}'; give {FORMS}, a video or sound file, recorded motion (.npz), or an "
            "rtsp/http URL."
        )
    return DriverRef.of_file(path, recorded=True).word if ref.recorded else file_driver(path, engines).word


def run_live(
    settings: Settings, *, port_asked: bool, duration: float | None, open_page: bool, console: Console
) -> None:
    """Run a channel until Ctrl-C, SIGTERM or `duration` seconds on air. Raises StudioError before anything starts."""
    settings = settings.model_copy(update={"driver": scene_driver_for_file(settings.driver, settings.engines)})
    if said := networks_fault():
        raise StudioError(said)
    of_sample = settings.driver == DriverKind.SAMPLE.value
    with progress_bar() as bar:
        ensure_samples(settings.home, stages(bar), avatars=settings.avatar in SAMPLES, driver=of_sample)
    load_avatar(avatar_folder(settings.home, settings.avatar))
    check_engine(settings)
    settings = settings.model_copy(update={"options": options_to_start_with(settings)})
    check_driver_template(settings)
    token = operator_token(settings.home)
    if settings.record and not settings.record.parent.is_dir():
        raise StudioError(f"There is no folder {settings.record.parent} to record into; create it or choose another.")
    if settings.record and settings.record.exists():
        console.print(
            f"{settings.record} already exists and is kept; the recording gets the same name with the next free number."
        )
    ending = StopSignals(TERMINAL)
    with (
        own_livekit(settings) as server,
        FarmBeside(settings) as farm,
        Supervisor(settings_with_livekit(settings, server), port_asked=port_asked) as supervisor,
    ):
        url = f"http://{openable_host(settings.host)}:{supervisor.port}/#token={token}"
        if supervisor.port != settings.port and settings.port:
            console.print(f"Port {settings.port} is taken, so the console is on {supervisor.port}.")
        supervisor.start()
        console.print(f"Console: {url}", soft_wrap=True, highlight=False)
        if settings.host in ("0.0.0.0", "::"):
            console.print(
                "The console listens on every interface. Other machines need the token, and the name or address by "
                "which they reach it must be in allowed_hosts."
            )
        if settings.livekit:
            where = f"the studio's own server, {server.url}" if server else settings.livekit_url
            console.print(f"LiveKit: {where}, room '{settings.room}'.", soft_wrap=True, highlight=False)
        run = LiveRun(supervisor, server, farm, duration, url if open_page and _has_display() else "", console)
        supervisor.run(lambda: bool(ending) or run.is_over())
        farm.leave()


@contextmanager
def own_livekit(settings: Settings) -> Iterator[LiveKitServer | None]:
    """Run a LiveKit server while the context is open, if the settings want LiveKit and name no server.

    Yields None otherwise. Raises StudioError when only some of the LiveKit settings are given.
    """
    keys = (settings.livekit_url, settings.livekit_api_key, settings.livekit_api_secret.get_secret_value())
    if not settings.livekit or all(keys):
        yield None
    elif any(keys):
        raise StudioError("LiveKit needs all of LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or none of them.")
    else:
        with LiveKitServer(settings.home / "livekit.log") as server:
            yield server


def settings_with_livekit(settings: Settings, server: LiveKitServer | None) -> Settings:
    """Return the settings with the address and keys of the studio's own LiveKit server; unchanged without one."""
    if server is None:
        return settings
    keys = {"livekit_url": server.url, "livekit_api_key": server.key, "livekit_api_secret": SecretStr(server.secret)}
    return settings.model_copy(update=keys)


@dataclass(slots=True)
class LiveRun:
    """A running channel's terminal messages, periodic work and time limit.

    duration: seconds on air, None for no limit. page: URL to open in a browser once the gateway runs, "" for none.
    since: monotonic seconds at which the channel went on air, None before.
    """

    supervisor: Supervisor
    livekit: LiveKitServer | None
    farm: FarmBeside
    duration: float | None
    page: str
    console: Console
    since: float | None = None

    def is_over(self) -> bool:
        """Do the periodic work and return whether the channel has been on air for `duration`.

        Called several times a second: restarts a dead LiveKit server, opens the page and says when the channel is on
        air.
        """
        if self.livekit:
            self.livekit.restart_if_dead()
        if self.page and "gateway" in self.supervisor.pulses:
            webbrowser.open(self.page)
            self.page = ""
        if (
            self.since is None
            and len(self.supervisor.pulses) == len(self.supervisor.services)
            and _driven(self.supervisor)
        ):
            self.since = time.monotonic()
            self.console.print(f"Channel '{self.supervisor.settings.channel}' is on air. Ctrl-C ends it.")
        if self.since is not None:
            self.farm.turn()
        return self.duration is not None and self.since is not None and time.monotonic() - self.since >= self.duration


def _has_display() -> bool:
    """Whether this machine has a desktop for a browser; without one a text browser would take over the terminal."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _driven(supervisor: Supervisor) -> bool:
    """Whether the program shows a face."""
    return supervisor.pulses["compositor"].state in ("live", "idle")
