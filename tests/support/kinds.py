"""The kinds of tests, by which `pytest -m` selects.

`live`: tests of a live program, which depend on the machine's clock; they are the tests in LIVE, and tests/run.sh
imports only those for them, in a quarter of the time. `unit`: tests of code in this process only; `make
check` runs them. A test that differs from the others in its folder is marked `unit` or, because it takes many seconds
or starts a process, `apart`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy.testing  # noqa: F401 - asks lscpu what the processor can do when it is imported: before any unit test
import pytest

TESTS = Path(__file__).parents[1]
LIVE = (
    "docs/test_engine_authoring.py", "integrations", "services/gateway", "services/sessions/test_left_rooms.py",
    "system",
)  # fmt: skip
UNIT = (
    "compositing", "deploy", "engines/mesh", "publishing", "services/capture", "services/compositor", "shared",
    "structure",
)  # fmt: skip
HOMES = {"sample_home", "live_home", "small_home"}  # fixtures that take long to build
STARTS_A_PROCESS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"})

_unit: list[str] = []  # the unit test that is running


def _refuse_processes(event: str, arguments: tuple[object, ...]) -> None:
    if _unit and event in STARTS_A_PROCESS:
        raise AssertionError(f"{_unit[-1]} starts a process ({event}); mark it `apart`")


sys.addaudithook(_refuse_processes)


def _inside(file: Path, parents: tuple[str, ...]) -> bool:
    return any(file.is_relative_to(TESTS / parent) for parent in parents)


def _apart(item: pytest.Item) -> bool:
    """Whether a test is too slow for a unit test."""
    fixtures = getattr(item, "fixturenames", ())
    return not HOMES.isdisjoint(fixtures) or any(map(item.get_closest_marker, ("apart", "slow")))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its kind, before `-m` selects by it."""
    for item in items:
        if item.get_closest_marker("live"):
            raise pytest.UsageError(f"{item.nodeid} is marked `live`; add its path to LIVE instead")
        if item.get_closest_marker("unit"):
            continue
        if _inside(item.path, LIVE):
            item.add_marker("live")
        elif _inside(item.path, UNIT) and not _apart(item):
            item.add_marker("unit")
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(3600))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let every start of a process fail while a unit test runs."""
    if item.get_closest_marker("unit"):
        _unit.append(item.nodeid)
    try:
        return (yield)
    finally:
        _unit.clear()
