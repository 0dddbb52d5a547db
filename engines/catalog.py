"""The engines with what a user picks them by: title, drivers, terms, and why one cannot run here."""

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

INPUTS: tuple[Input, ...] = ("motion", "voice", "template")  # in the order in which they are named
MODES: tuple[Mode, ...] = ("live", "offline")


def engine_summaries(settings: Settings) -> dict[str, dict[str, object]]:
    """Every engine by name, as plain values.

    Title, inputs, modes, needs_image, template_suffixes (of files with recorded motion), options (their JSON schema,
    with what holds here as defaults), terms (what it may be used for), and, where this machine cannot run it, why and
    the command that helps. Reads the first and last bytes of weight files; imports no torch.
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
    except Exception as error:  # another package's code may fail at anything
        why = named(error)
        return row | {"unavailable": f"Engine '{name}' cannot be looked at ({why}); update or remove its package."}
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
    """Raise StudioError, in the engine's own sentence, when the engine of the settings cannot run here."""
    load_frame_engine(settings.engine, settings.engines).check()


def options_to_start_with(settings: Settings) -> dict[str, OptionValue]:
    """The options in the settings, as the engine's types say. Raises StudioError for a wrong one."""
    options = load_frame_engine(settings.engine, settings.engines).options(settings.options)
    return {} if options is None else options.model_dump(mode="json", include=set(settings.options))


def settings_of_engines(settings: Settings) -> list[EngineSettings]:
    """Settings that engines define themselves. Raises StudioError for a wrong one."""
    engines = (load(name, settings.engines) for name in names(settings.engines))
    return [own for engine in engines if (own := engine.settings()) is not None]


def weights_of(name: str, added: Mapping[str, str] = NONE) -> EngineWeights:
    """The weights of the engine of this name. Raises StudioError as `load` does, and for a manifest that is wrong."""
    return load(name, added).weights()


def recognise_weights(name: str, added: Mapping[str, str], path: Path) -> str:
    """Which of its files this engine takes a file for, "" for none.

    Raises StudioError as `load` and `Engine.recognise`.
    """
    return load(name, added).recognise(path)


def weights_of_all(added: Mapping[str, str] = NONE) -> Iterator[EngineWeights]:
    """The weights of every engine that can be loaded."""
    for name in names(added):
        try:
            yield weights_of(name, added)
        except StudioError:
            pass  # `studio engines` says why


def check_driver_template(settings: Settings) -> None:
    """Raise StudioError where the driver of the settings is a motion template that their engine cannot play."""
    if path := DriverRef.of_setting(settings.driver).template:
        load_frame_engine(settings.engine, settings.engines).read_template(path)
