"""The engines with what a user picks them by: title, driver, terms, and why one cannot run here."""

from engines.options import options_schema
from engines.registry import load, load_frame_engine, names
from engines.settings import EngineSettings
from shared.config.settings import Settings
from shared.driver_ref import DriverRef
from shared.errors import StudioError
from shared.scene import OptionValue
from shared.weights.manifest import terms


def engine_summaries(settings: Settings) -> dict[str, dict[str, object]]:
    """Every engine's title, whether a voice can drive it, whether it needs the driver's image, the JSON schema of its options
    with what holds here as defaults, what its weights may be used for and, where this machine cannot run it, why. Reads the
    first and last bytes of weight files; imports no torch."""
    return {name: _row(name, settings) for name in names(settings.engines)}


def _row(name: str, settings: Settings) -> dict[str, object]:
    row: dict[str, object] = {
        "title": name, "voice": False, "needs_image": False, "options": {}, "terms": terms(name), "unavailable": "",
    }  # fmt: skip
    try:
        engine = load(name, settings.engines)
    except StudioError as error:
        return row | {"unavailable": str(error)}
    info, problem = engine.info, engine.probe()
    row |= {"title": info.title, "voice": "voice" in info.inputs, "needs_image": info.needs_image}
    try:
        options = engine.options()
        schema = {} if options is None else options_schema(options)
    except StudioError as error:
        return row | {"unavailable": str(error)}
    return row | {"options": schema, "unavailable": "" if problem is None else problem.reason}


def check_engine(settings: Settings) -> None:
    """Raises StudioError, in the engine's own sentence, when the engine of the settings cannot run here."""
    load_frame_engine(settings.engine, settings.engines).check()


def options_to_start_with(settings: Settings) -> dict[str, OptionValue]:
    """The options in the settings, as the engine's types say. Raises StudioError for a wrong one."""
    options = load_frame_engine(settings.engine, settings.engines).options(settings.options)
    return {} if options is None else options.model_dump(mode="json", include=set(settings.options))


def settings_of_engines(settings: Settings) -> list[EngineSettings]:
    """Those that the engines have of their own. Raises StudioError for one that is wrong."""
    engines = (load(name, settings.engines) for name in names(settings.engines))
    return [own for engine in engines if (own := engine.settings()) is not None]


def check_driver_template(settings: Settings) -> None:
    """Raises StudioError where the driver of the settings is a motion template that their engine cannot play."""
    if path := DriverRef.of_setting(settings.driver).template:
        load_frame_engine(settings.engine, settings.engines).read_template(path)
