"""Fixtures shared by all tests: homes with the sample avatars, built once; a LiveKit server; a browser."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import pytest

from services.local.livekit_server import LiveKitServer, find_server
from services.local.samples import ensure_sample_driver
from shared.avatar.build import add_avatar
from shared.avatar.samples import RIGHTS, SAMPLE, ensure_sample_avatars, sample_portrait
from shared.config.settings import DEFAULT_ENGINE
from tests.support.browser.chromium import launched

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytest_plugins = ("tests.support.kinds",)
BUILT_HOME = "BUILT_HOME"  # folder shared by the processes of one test run


@pytest.fixture(scope="session")
def built_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home from which the fixtures below copy; the parts of tests/run.sh share it."""
    return Path(os.environ.get(BUILT_HOME) or tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="session")
def sample_home(built_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder that holds the avatars `sample` and `sample-video`. Treat it as read-only."""
    ensure_sample_avatars(built_home)
    home = tmp_path_factory.mktemp("home")
    measured = shutil.ignore_patterns(f"{DEFAULT_ENGINE}-*")  # written by a process that makes the sample driver
    shutil.copytree(built_home / "avatars", home / "avatars", ignore=measured)
    return home


@pytest.fixture(scope="session")
def live_home(built_home: Path, sample_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with everything that a first run makes: sample avatars and sample driver."""
    driver = ensure_sample_driver(built_home)
    home = tmp_path_factory.mktemp("live") / "home"
    shutil.copytree(sample_home, home)
    shutil.copytree(driver.parent, home / driver.parent.name)
    return home


@pytest.fixture(scope="session")
def small_home(live_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the sample driver, whose avatar `sample` has 256 x 256 pixels.

    For tests of how frames are processed, not of how they look.
    """
    home = tmp_path_factory.mktemp("small")
    portrait = cv2.resize(sample_portrait()[:480, 200:680], (256, 256), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(home / "portrait.png"), portrait[..., ::-1])
    add_avatar(home, SAMPLE, home / "portrait.png", None, RIGHTS)
    shutil.copytree(live_home / "drivers", home / "drivers")
    return home


@pytest.fixture
def run_root() -> Iterator[Path]:
    """A folder for sockets, with a short path because ipc paths must be short."""
    with tempfile.TemporaryDirectory(prefix="studio-", dir="/tmp") as folder:
        yield Path(folder) / "run"


@pytest.fixture(scope="session")
def livekit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    """A real LiveKit server; a test that stops it must start it again."""
    if find_server() is None:
        pytest.skip("no LiveKit server: deploy/livekit.sh builds one")
    with LiveKitServer(tmp_path_factory.mktemp("livekit") / "livekit.log") as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Headless Chromium with a simulated camera and microphone."""
    with launched() as browser:
        yield browser
