"""What several tests share: a home with the sample avatars, built once."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from services.local.livekit_server import LiveKitServer, find_server
from services.local.samples import ensure_sample_driver
from shared.avatar.samples import ensure_sample_avatars
from tests.support.browser.chromium import ARGUMENTS, CHROMIUM

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest_plugins = ("tests.support.kinds",)


@pytest.fixture(scope="session")
def sample_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder that holds the avatars `sample` and `sample-video`. Treat it as read-only."""
    home = tmp_path_factory.mktemp("home")
    ensure_sample_avatars(home)
    return home


@pytest.fixture(scope="session")
def live_home(sample_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with all that a first run makes: sample avatars and sample driver."""
    home = tmp_path_factory.mktemp("live") / "home"
    shutil.copytree(sample_home, home)
    ensure_sample_driver(home)
    return home


@pytest.fixture
def run_root() -> Iterator[Path]:
    """A folder for sockets; ipc paths must be short."""
    with tempfile.TemporaryDirectory(prefix="studio-", dir="/tmp") as folder:
        yield Path(folder) / "run"


@pytest.fixture(scope="session")
def livekit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    """A real LiveKit server; a test that stops it starts it again."""
    if find_server() is None:
        pytest.skip("no LiveKit server: deploy/livekit.sh builds one")
    with LiveKitServer(tmp_path_factory.mktemp("livekit") / "livekit.log") as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium without a window, with a camera and a microphone of its own making."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
