"""Fixtures of the gateway's tests: one studio for all that restore what they change; starting one takes seconds."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.speech_server import KEY, SpeechServer, speech_server
from shared.jobs.store import Store, open_store
from tests.support.running.gateway import GatewayStudio, studio
from tests.support.running.gateway_app import GatewayApp, gateway_app


@pytest.fixture(scope="package")
def running() -> Iterator[GatewayStudio]:
    """A gateway on air; a test that changes the scene restores it."""
    with tempfile.TemporaryDirectory() as folder, studio(Path(folder)) as made:
        yield made


@pytest.fixture
def own() -> Iterator[GatewayStudio]:
    """A gateway for a single test, which may kill it."""
    with tempfile.TemporaryDirectory() as folder, studio(Path(folder)) as made:
        yield made


@pytest.fixture
def store(running: GatewayStudio) -> Iterator[Store]:
    """The job store of the running studio; emptied at the end."""
    opened = open_store(running.settings.jobs_url)
    yield opened
    opened.remove("jobs")


@pytest.fixture(scope="package")
def avatar(running: GatewayStudio, small_home: Path) -> str:
    """Name of a complete avatar; the studio's other avatars have no face."""
    shutil.copytree(small_home / "avatars" / "sample", running.settings.home / "avatars" / "whole", dirs_exist_ok=True)
    return "whole"


@pytest.fixture(scope="module")
def server() -> Iterator[SpeechServer]:
    with speech_server() as made:
        yield made


@pytest.fixture(scope="module")
def speaking(server: SpeechServer) -> Iterator[GatewayStudio]:
    """A gateway whose voice is `server`."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setenv("STUDIO_VOICE_OPENAI_URL", server.url)
        patch.setenv("STUDIO_VOICE_OPENAI_KEY", KEY)
        with studio(Path(folder), voice="openai") as made:
            yield made


@pytest.fixture(scope="module")
def inside() -> Iterator[GatewayApp]:
    """A gateway in this process, for unit tests; a test that changes it restores it."""
    with gateway_app() as made:
        yield made
