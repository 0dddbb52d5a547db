"""Fixtures of the system tests: one running channel for tests that only observe it or restore what they change."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.channel import Studio, studio, wait_for

DEFAULTS = {"avatar": "sample", "driver": "sample", "engine": "mesh", "label": True, "muted": False, "on_air": True}


@pytest.fixture(scope="package")
def shared_channel(live_home: Path) -> Iterator[Studio]:
    """A channel that runs from the first test that needs it to the last test of this folder."""
    root = Path(tempfile.mkdtemp(prefix="studio-", dir="/tmp"))  # ipc paths must be short
    with studio(live_home, root / "run", "--port", "0") as started:
        yield started.on_air()
        started.end()
    shutil.rmtree(root)


@pytest.fixture
def channel(shared_channel: Studio) -> Iterator[Studio]:
    """The shared channel, on air with its initial scene before the test, and restored after it."""
    on_air(shared_channel)
    yield shared_channel
    shared_channel.patch(**DEFAULTS)


def on_air(channel: Studio) -> None:
    """Wait until the program shows a driven face again."""
    wait_for(lambda: channel.state().get("on_air_state") == "ON AIR", what="on air again")
