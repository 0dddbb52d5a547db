"""A studio per test file: starting a process for each test would take the longer part of a minute."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.channel import Studio, studio


@pytest.fixture(scope="module")
def running() -> Iterator[Studio]:
    """A gateway on air; a test that changes the scene puts it back."""
    with tempfile.TemporaryDirectory() as folder, studio(Path(folder)) as made:
        yield made


@pytest.fixture
def own() -> Iterator[Studio]:
    """A gateway for one test alone, to be killed."""
    with tempfile.TemporaryDirectory() as folder, studio(Path(folder)) as made:
        yield made
