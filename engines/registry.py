"""Installed engines by name: the studio's own and those of other packages, each imported on first use.

A package adds an engine by an entry point of the group `persona_studio.engines`. The setting `engines` adds an engine
that belongs to no package.
"""

import os
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path

from engines.api import Engine, FrameEngine
from shared.config.settings import DEFAULT_ENGINE, ENGINE_GROUP
from shared.driver_ref import TEMPLATE_SUFFIX, DriverRef
from shared.errors import StudioError, named
from shared.media.intake.signature import signature_of

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
NONE: Mapping[str, str] = {}
OFFLINE_ONLY = "{} only makes whole clips and cannot run live; choose another engine (`studio engines` lists them)."


def installed(added: Mapping[str, str] = NONE) -> dict[str, EntryPoint]:
    """Return the entry point of every engine, the default engine first, then by name.

    added: further engines, name to "module:class" (the setting `engines`); an installed engine of the same name takes
        precedence.
    """
    found = {name: EntryPoint(name, where, ENGINE_GROUP) for name, where in added.items()}
    found |= {point.name: point for point in _points()}
    return {name: found[name] for name in sorted(found, key=lambda name: (name != DEFAULT_ENGINE, name))}


def names(added: Mapping[str, str] = NONE) -> list[str]:
    """Return the names of all engines."""
    return list(installed(added))


def canonical_name(name: str, added: Mapping[str, str] = NONE) -> str:
    """Return the name of the engine that is found under `name`.

    That is `name` itself, or the name of the engine that has it as an alias. An unknown name is returned unchanged.
    """
    there = names(added)
    for each in there if name not in there else ():
        try:
            if name in load(each, added).info.aliases:
                return each
        except StudioError:
            continue  # an engine that cannot be loaded has no aliases
    return name


def load(name: str, added: Mapping[str, str] = NONE) -> Engine:
    """Return the engine of this name or alias.

    Raises StudioError if no such engine exists, its module cannot be imported, or it is not an engine.
    """
    found = installed(added)
    if DEFAULT_ENGINE not in found:
        raise StudioError(
            "The studio's engines are not registered, as can happen after an update; run `make setup` again."
        )
    name = canonical_name(name, added)
    if name not in found:
        raise StudioError(f"There is no engine '{name[:60]}'; choose one of {', '.join(sorted(found))}.")
    point = found[name]
    if not NAME.fullmatch(name):
        raise StudioError(
            f"Engine '{name[:60]}' has no valid name: use 1 to 40 of a-z, 0-9 and '_', with a letter first, in its "
            "entry point."
        )
    if len(packages := _packages(name)) > 1:
        raise StudioError(f"{' and '.join(packages)} both have an engine '{name}'; remove one of the packages.")
    cure = (
        f"update or remove the package {point.dist.name}" if point.dist is not None else "correct the setting 'engines'"
    )
    try:
        made = point.load()()
    except (Exception, SystemExit) as error:  # importing another package's code may raise any exception
        raise StudioError(f"Engine '{name}' cannot be loaded from {point.value} ({named(error)}); {cure}.") from None
    if not isinstance(made, Engine):
        raise StudioError(
            f"Engine '{name}' cannot be loaded from {point.value} (it is neither a FrameEngine nor a ClipEngine); "
            f"{cure}."
        )
    if point.dist is not None and made.info.name != name:
        raise StudioError(
            f"The entry point '{name}' holds the engine '{made.info.name[:60]}'; give both the same name, then {cure}."
        )
    return made


def _packages(name: str) -> list[str]:
    """Return the names of the packages that provide an engine of this name."""
    return sorted({point.dist.name for point in _points().select(name=name) if point.dist is not None})


def _points() -> EntryPoints:
    """The engines' entry points, read again only after a package was installed or removed.

    Reading them opens a file of every installed package, and a generator asks for each engine every few seconds.
    """
    return _read_points(tuple((folder, _changed_ns(folder)) for folder in sys.path))


@lru_cache(maxsize=1)
def _read_points(_: tuple[tuple[str, int], ...]) -> EntryPoints:
    return entry_points(group=ENGINE_GROUP)


def _changed_ns(folder: str) -> int:
    """The time of the last change of a folder's entries, 0 if it cannot be read."""
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:
        return 0


def load_frame_engine(name: str, added: Mapping[str, str] = NONE) -> FrameEngine:
    """Return the frame engine of this name. Raises StudioError as `load` does, and for a clip engine."""
    engine = load(name, added)
    if not isinstance(engine, FrameEngine):
        raise StudioError(OFFLINE_ONLY.format(engine.info.title))
    return engine


def template_suffixes(added: Mapping[str, str] = NONE) -> frozenset[str]:
    """Return the file suffixes of the motion templates that engines here play, lower case with the dot."""
    found = {TEMPLATE_SUFFIX}
    for name in names(added):
        try:
            engine = load(name, added)
        except StudioError:
            continue  # an engine that cannot be loaded plays no templates
        if isinstance(engine, FrameEngine):
            found |= engine.template_suffixes
    return frozenset(found)


def is_template(path: Path, suffixes: frozenset[str]) -> bool:
    """Whether a file is a motion template: by its content if that identifies the type, else by its suffix.

    suffixes: motion templates' suffixes.
    """
    signed = signature_of(path)
    if signed is not None and signed.kind in ("film", "sound", "image"):
        return False
    return path.suffix.lower() in suffixes or (signed is not None and signed.name == "NumPy archive")


def file_driver(path: Path, added: Mapping[str, str] = NONE) -> DriverRef:
    """Return a file as a driver: as recorded motion if an engine here plays it, else as video or sound."""
    return DriverRef.of_file(path, recorded=is_template(path, template_suffixes(added)))
