"""The mesh engine keeps the rules of every engine."""

import pytest

from engines.mesh.engine import MeshEngine
from persona_studio.engine.testing import EngineConformance
from tests.support.engines.mesh_material import avatar

pytestmark = pytest.mark.apart


class TestMesh(EngineConformance):
    engine = MeshEngine
    avatar = avatar


class TestMeshOnABody(EngineConformance):
    engine = MeshEngine
    avatar = staticmethod(lambda: avatar(own_plate=False))
