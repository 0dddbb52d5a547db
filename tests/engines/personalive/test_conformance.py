"""PersonaLive keeps the rules of every engine, with tiny networks on the two lowest rungs of a ladder of small ones."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from engines.personalive import quality
from persona_studio.engine.testing import EngineConformance
from tests.support.engines.personalive_material import SMALLEST, TinyEngine, avatar


@pytest.fixture(autouse=True, scope="module")
def small_ladder() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality, "LADDER", (SMALLEST, replace(SMALLEST, name="half", every=2)))
        yield


class TestPersonaLive(EngineConformance):
    engine = TinyEngine
    avatar = avatar
    tolerance = 1  # with little memory frames are decoded one by one, with other rounding than in fours
