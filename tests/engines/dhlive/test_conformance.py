"""Both engines of DH_live keep the rules of every engine, with stand-ins for their files."""

from collections.abc import Iterator

import pytest

from engines.dhlive.networks.one_thread import one_thread
from persona_studio.engine.testing import EngineConformance
from tests.support.engines.dhlive_material import NarrowOldStandIn, StandInEngine

pytestmark = pytest.mark.apart


@pytest.fixture(autouse=True)
def narrow() -> Iterator[None]:
    """Run with one thread: several threads of a network this small wait for each other longer than they work."""
    with one_thread():
        yield


class TestDhlive(EngineConformance):
    engine = StandInEngine
    tolerance = 1  # a batch is summed in another order


class TestTheOldNetwork(EngineConformance):
    engine = NarrowOldStandIn
