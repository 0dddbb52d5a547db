"""PersonaLive keeps the rules of every engine, with tiny networks."""

from persona_studio.engine.testing import EngineConformance
from tests.support.engines.personalive_material import TinyEngine, avatar


class TestPersonaLive(EngineConformance):
    engine = TinyEngine
    avatar = avatar
    tolerance = 1  # with little memory frames are decoded one by one, whose sums round otherwise than those of four
