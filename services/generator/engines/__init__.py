"""The engines there are, by name. Each lives in its own folder and is imported when it is asked for."""

from collections.abc import Callable, Mapping

from services.generator.engine import Engine
from shared.errors import StudioError


def _mesh() -> Engine:
    from services.generator.engines.mesh.engine import MeshEngine

    return MeshEngine()


ENGINES: Mapping[str, Callable[[], Engine]] = {"mesh": _mesh}


def load(name: str) -> Engine:
    """The engine of this name. Raises StudioError when there is none."""
    if name not in ENGINES:
        raise StudioError(f"There is no engine '{name[:60]}'; there is {', '.join(sorted(ENGINES))}.")
    return ENGINES[name]()
