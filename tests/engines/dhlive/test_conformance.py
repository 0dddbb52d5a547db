"""DH_live keeps the rules of every engine, with stand-ins for its files."""

import pytest

from persona_studio.engine.testing import EngineConformance
from tests.support.engines.dhlive_material import StandInEngine

pytestmark = pytest.mark.apart


class TestDhlive(EngineConformance):
    engine = StandInEngine
    tolerance = 1  # a batch is summed in another order
