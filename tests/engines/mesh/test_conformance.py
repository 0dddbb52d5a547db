"""The mesh engine keeps the rules of every engine."""

from collections.abc import Mapping
from typing import Any

import pytest

from engines.api import NOTHING
from engines.mesh.engine import MeshEngine
from engines.options import EngineOptions
from harness.filmed_body import filmed_body
from persona_studio.engine.testing import EngineConformance
from tests.support.engines.mesh_material import avatar

pytestmark = pytest.mark.apart


class TestMesh(EngineConformance):
    engine = MeshEngine
    avatar = avatar


class TestMeshOnABody(EngineConformance):
    engine = MeshEngine
    avatar = staticmethod(lambda: avatar(own_plate=False))


class FilmEngine(MeshEngine):
    """Moves the film's own face."""

    def options(self, given: Mapping[str, Any] = NOTHING) -> EngineOptions | None:
        return super().options({"source": "body"} | dict(given))


class TestMeshOnAFilm(EngineConformance):
    engine = FilmEngine
    avatar = filmed_body
