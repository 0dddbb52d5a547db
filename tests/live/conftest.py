"""A home with everything a first run makes, and a short place for sockets."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.renderer.sample_driver import ensure_sample_driver


@pytest.fixture(scope="session")
def live_home(sample_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of its own for live tests: sample avatars and sample driver."""
    home = tmp_path_factory.mktemp("live") / "home"
    shutil.copytree(sample_home, home)
    ensure_sample_driver(home)
    return home


@pytest.fixture
def run_root() -> Iterator[Path]:
    """A folder for sockets; ipc paths must be short."""
    with tempfile.TemporaryDirectory(prefix="studio-", dir="/tmp") as folder:
        yield Path(folder) / "run"
