"""The engines there are, by name. Each lives in its own folder and is imported when it is asked for."""

import importlib
from collections.abc import Callable, Mapping
from typing import cast

from engines.api import Engine
from shared.errors import StudioError

NONE: Mapping[str, str] = {}


def _mesh() -> Engine:
    from engines.mesh.engine import MeshEngine

    return MeshEngine()


def _liveportrait() -> Engine:
    from engines.liveportrait.engine import LivePortraitEngine

    return LivePortraitEngine()


def _personalive() -> Engine:
    from engines.personalive.engine import PersonaLiveEngine

    return PersonaLiveEngine()


ENGINES: Mapping[str, Callable[[], Engine]] = {
    "mesh": _mesh,
    "liveportrait": _liveportrait,
    "personalive": _personalive,
}


def names(added: Mapping[str, str] = NONE) -> list[str]:
    """The engines there are, the studio's own and those that the setting `engines` adds."""
    return [*ENGINES, *(name for name in added if name not in ENGINES)]


def load(name: str, added: Mapping[str, str] = NONE) -> Engine:
    """The engine of this name. added: further engines, name to "module:class" (the setting `engines`). Raises
    StudioError when there is none, or its module cannot be imported."""
    if name in ENGINES:
        return ENGINES[name]()
    if name not in added:
        raise StudioError(f"There is no engine '{name[:60]}'; there is {', '.join(sorted(names(added)))}.")
    module, _, made = added[name].partition(":")
    try:
        return cast(Engine, getattr(importlib.import_module(module), made)())
    except (ImportError, AttributeError, ValueError) as error:
        raise StudioError(
            f"Engine '{name}' cannot be loaded from {added[name]} ({error}); mend the setting 'engines'."
        ) from None
