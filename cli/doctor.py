"""`studio doctor`: check what a channel needs on this machine and report what is missing."""

import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np

from cli.engines import moved_by
from engines.catalog import engine_summaries
from services.capture.service import cameras
from services.local.channel_supervisor import listening_socket
from services.local.livekit_server import find_server
from shared.avatar.model import list_avatars
from shared.config.cache_dir import cache_folder
from shared.config.settings import DEFAULT_ENGINE, Settings
from shared.errors import StudioError

FindingState = Literal["ok", "missing", "failed"]
FREE_BYTES = 2 << 30  # an hour of recording is about one gigabyte
BROWSERS = ("chromium", "google-chrome", "chromium-browser", "firefox")


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check: `failed` means that no channel can run, `missing` that one feature cannot be used."""

    what: str
    state: FindingState
    detail: str

    def as_dict(self) -> dict[str, str]:
        """Return the finding as a dict of plain values."""
        return asdict(self)


def find_problems(settings: Settings) -> list[Finding]:
    """Run all checks of what a channel needs on this machine, including one for each engine."""
    checks: dict[str, Callable[[Settings], tuple[FindingState, str]]] = {
        "machine": _machine,
        "home": _home,
        "sockets": _sockets,
        "console port": _port,
        "face tracking": _tracking,
        "video encoder": _encoder,
        "cameras": _cameras,
        "avatars": _avatars,
        "browser": _browser,
        "LiveKit": _livekit,
        "GPU": _gpu,
    }
    findings = [Finding(what, *_tried(check, settings)) for what, check in checks.items()]
    for name, engine in engine_summaries(settings).items():
        reason = str(engine["unavailable"])
        detail = " ".join(
            filter(None, (reason or f"{engine['title']}, moved by {moved_by(engine)}.", str(engine["terms"])))
        )
        findings.append(Finding(f"engine {name}", "missing" if reason else "ok", detail))
    return findings


def _tried(check: Callable[[Settings], tuple[FindingState, str]], settings: Settings) -> tuple[FindingState, str]:
    try:
        return check(settings)
    except (StudioError, OSError, ImportError) as error:
        return "failed", str(error)


def _machine(_: Settings) -> tuple[FindingState, str]:
    return "ok", f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores"


def _home(settings: Settings) -> tuple[FindingState, str]:
    settings.home.mkdir(parents=True, exist_ok=True)
    if not os.access(settings.home, os.W_OK):
        return "failed", f"{settings.home} cannot be written; set another with STUDIO_HOME."
    free = shutil.disk_usage(settings.home).free
    detail = f"{settings.home}, {free / 1e9:.1f} GB free"
    return ("ok", detail) if free > FREE_BYTES else ("missing", f"{detail}: too little to record for long.")


def _sockets(settings: Settings) -> tuple[FindingState, str]:
    settings.run_root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return "ok", str(settings.run_root)


def _port(settings: Settings) -> tuple[FindingState, str]:
    listener = listening_socket(settings.host, settings.port, asked=False)
    port = listener.getsockname()[1]
    listener.close()
    return "ok", f"{settings.host}:{port} is free"


def _tracking(_: Settings) -> tuple[FindingState, str]:
    from shared.avatar.samples import sample_portrait
    from shared.face.tracker import FaceTracker

    tracker = FaceTracker()
    frame = np.ascontiguousarray(sample_portrait()[::2, ::2])
    tracker.track(frame)
    started = time.perf_counter()
    found = tracker.track(frame)
    took = (time.perf_counter() - started) * 1000
    return (
        ("ok", f"{took:.1f} ms for an image of 512x512")
        if found
        else ("failed", "finds no face in the sample portrait")
    )


def _encoder(_: Settings) -> tuple[FindingState, str]:
    import av

    av.CodecContext.create("libx264", "w")
    return "ok", "H.264 (x264)"


def _cameras(_: Settings) -> tuple[FindingState, str]:
    found = cameras()
    return (
        ("ok", ", ".join(f"camera:{n}" for n in found))
        if found
        else ("missing", "none; a browser's camera can be used")
    )


def _avatars(settings: Settings) -> tuple[FindingState, str]:
    found = list_avatars(settings.home)
    return ("ok", ", ".join(found)) if found else ("missing", "none yet; `studio setup` makes the samples")


def _browser(_: Settings) -> tuple[FindingState, str]:
    found = [name for name in BROWSERS if shutil.which(name)]
    return (
        ("ok", found[0])
        if found
        else ("missing", "none here; open the console in a browser on another machine, through ssh -L")
    )


def _livekit(settings: Settings) -> tuple[FindingState, str]:
    if not [*cache_folder().glob("livekit-client-*.mjs")]:
        return "missing", "the watch page lacks LiveKit's library; deploy/livekit.sh downloads it"
    if settings.livekit_url:
        return "ok", f"publishes to {settings.livekit_url}"
    found = find_server()
    return ("ok", f"{found}") if found else ("missing", "no server and no LIVEKIT_URL; deploy/livekit.sh builds one")


def _gpu(_: Settings) -> tuple[FindingState, str]:
    if not shutil.which("nvidia-smi"):
        return "missing", f"no NVIDIA GPU; the {DEFAULT_ENGINE} engine needs none"
    return ("ok", "NVIDIA GPU") if find_spec("torch") else ("missing", "NVIDIA GPU, but torch is not installed")
