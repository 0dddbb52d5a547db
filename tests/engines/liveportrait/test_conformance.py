"""LivePortrait keeps the rules of every engine, with narrow networks: from a portrait, from a body's own face, in a batch."""

import pytest

pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from persona_studio.engine.testing import EngineConformance
from tests.support.engines.liveportrait_material import NarrowEngine, avatar


class TestPortrait(EngineConformance):
    engine = NarrowEngine
    avatar = avatar
