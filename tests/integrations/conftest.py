"""Fixtures of the integrations' tests: a separate environment, made once, and a studio that serves sessions."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.sessions.session_studio import SessionStudio
from services.local.livekit_server import LiveKitServer
from shared.config.cache_dir import cache_folder
from shared.runtime.file_lock import open_lock
from tests.support.running.small_sessions import small_session_studio

# The newest tested versions. They pin another version of `livekit` than the studio does.
PACKAGES = ("livekit-agents==1.8.9", "livekit-plugins-bey==1.8.9", "pipecat-ai[livekit]==1.14.0", "mypy")
MAKING_S = 180


@pytest.fixture(scope="session")
def other_python() -> Path:
    """Python of an environment in the cache folder, with these frameworks and without the studio."""
    name = hashlib.sha256("\n".join((sys.version, *PACKAGES)).encode()).hexdigest()[:12]
    folder = cache_folder() / f"integrations-{name}"
    python, made = folder / "bin" / "python", folder / "made"
    folder.mkdir(parents=True, exist_ok=True)
    lock = open_lock(folder.with_suffix(".lock"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists() and (why := _make(folder, python)):
            pytest.skip(f"no environment with LiveKit Agents and Pipecat: {why}")
        made.touch()
    finally:
        os.close(lock)
    return python


def _make(folder: Path, python: Path) -> str:
    """Make the environment; return "", or why it cannot be made."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        return "there is no uv"
    for command in (["venv", "--clear", "--python", sys.executable, str(folder)],
                    ["pip", "install", "--python", str(python), *PACKAGES]):  # fmt: skip
        try:
            done = subprocess.run(
                [uv, "--quiet", *command], capture_output=True, encoding="utf-8", errors="replace", timeout=MAKING_S
            )
        except subprocess.TimeoutExpired:
            return "the network is too slow"
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["uv failed"])[-1].strip()
    return ""


@pytest.fixture(scope="session")
def serving(livekit_server: LiveKitServer, small_home: Path) -> Iterator[SessionStudio]:
    """A studio shared by all integrations, with the avatar `sample`."""
    with small_session_studio(livekit_server, small_home) as made:
        yield made
