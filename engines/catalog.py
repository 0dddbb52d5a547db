"""The facts by which a user chooses an engine: title, drivers, terms, and why an engine cannot run here."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from engines.api import FrameEngine, Input, Mode
from engines.options import options_schema
from engines.registry import NONE, load, load_frame_engine, names
from engines.settings import EngineSettings
from shared.config.settings import Settings
from shared.driver_ref import DriverRef
from shared.errors import StudioError, named
from shared.scene import OptionValue
from shared.weights.manifest import EngineWeights

INPUTS: tuple[Input, ...] = ("motion", "voice", "template")  # in display order
MODES: tuple[Mode, ...] = ("live", "offline")


def engine_summaries(settings: Settings) -> dict[str, dict[str, object]]:
    """Return a summary of every engine by name, as plain values.

    Title, inputs, modes, needs_image, template_suffixes (of files with recorded motion), options (their JSON schema,
    with this machine's values as defaults), terms of use, and, for an engine that cannot run on this machine, the
    reason and the command that helps. Reads the first and last bytes of weight files; imports no torch.
    """
    return {name: _row(name, settings) for name in names(settings.engines)}


def _row(name: str, settings: Settings) -> dict[str, object]:
    row: dict[str, object] = {
        "title": name,
        "inputs": [],
        "modes": [],
        "needs_image": False,
        "template_suffixes": [],
        "options": {},
        "terms": "",
        "unavailable": "",
        "command": "",
    }
    try:
        engine = load(name, settings.engines)
        info, terms, problem = engine.info, engine.weights().terms, engine.probe()
    except StudioError as error:
        return row | {"unavailable": str(error)}
    except Exception as error:  # another package's code may raise any exception
        why = named(error)
        return row | {"unavailable": f"Engine '{name}' cannot be inspected ({why}); update or remove its package."}
    row |= {
        "title": info.title,
        "inputs": [each for each in INPUTS if each in info.inputs],
        "modes": [each for each in MODES if each in info.modes],
        "needs_image": info.needs_image,
        "template_suffixes": sorted(engine.template_suffixes) if isinstance(engine, FrameEngine) else [],
        "terms": terms,
        "unavailable": "" if problem is None else problem.reason,
        "command": "" if problem is None else problem.command,
    }
    try:
        options = engine.options()
        return row | {"options": {} if options is None else options_schema(options)}
    except StudioError as error:
        return row | {"unavailable": str(error)}


def check_engine(settings: Settings) -> None:
    """Raise StudioError, with the engine's own reason, if the engine named in the settings cannot run here."""
    load_frame_engine(settings.engine, settings.engines).check()


def options_to_start_with(settings: Settings) -> dict[str, OptionValue]:
    """Return the options given in the settings, converted to the engine's types. Raises StudioError for a wrong one."""
    options = load_frame_engine(settings.engine, settings.engines).options(settings.options)
    return {} if options is None else options.model_dump(mode="json", include=set(settings.options))


def settings_of_engines(settings: Settings) -> list[EngineSettings]:
    """Return the settings of every engine that defines any. Raises StudioError for a wrong setting."""
    engines = (load(name, settings.engines) for name in names(settings.engines))
    return [own for engine in engines if (own := engine.settings()) is not None]


def weights_of(name: str, added: Mapping[str, str] = NONE) -> EngineWeights:
    """Return the weights of the engine of this name. Raises StudioError as `load` does, and for a wrong manifest."""
    return load(name, added).weights()


def recognise_weights(name: str, added: Mapping[str, str], path: Path) -> str:
    """Return which of an engine's weight files this file is, by its path in the manifest; "" for none.

    Raises StudioError as `load` and `Engine.recognise` do.
    """
    return load(name, added).recognise(path)


def weights_of_all(added: Mapping[str, str] = NONE) -> Iterator[EngineWeights]:
    """Yield the weights of every engine that can be loaded."""
    for name in names(added):
        try:
            yield weights_of(name, added)
        except StudioError:
            pass  # `studio engines` says why


def check_driver_template(settings: Settings) -> None:
    """Raise StudioError if the driver in the settings is a motion template that the engine in them cannot play."""
    if path := DriverRef.of_setting(settings.driver).template:
        load_frame_engine(settings.engine, settings.engines).read_template(path)
