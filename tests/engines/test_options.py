"""An engine's options: a wrong one gives the same sentence, whether checked by class or by schema."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import Field

from engines.catalog import options_to_start_with
from engines.mesh.engine import INFO, MeshEngine
from engines.options import EngineOptions, checked_options, options_of_schema, options_schema, value_title
from engines.registry import load, names
from shared.config.settings import Settings
from shared.errors import StudioError
from tests.support.engines.job_engines import ENGINES
from tests.support.engines.option_material import EveryOptions

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"quality": "best"}, "Option 'quality' of Every: Input should be 'auto', 'full' or 'small' (got 'best')."),
    ({"close_lips": "perhaps"}, "Option 'close_lips' of Every: Input should be a valid boolean, unable to interpret "
                                "input (got 'perhaps')."),
    ({"multiplier": 3.5}, "Option 'multiplier' of Every: Input should be less than or equal to 3 (got 3.5)."),
    ({"multiplier": float("nan")}, "Option 'multiplier' of Every: Input should be a finite number (got nan)."),
    ({"seed": 1000}, "Option 'seed' of Every: Input should be less than 1000 (got 1000)."),
    ({"seed": "7.5"}, "Option 'seed' of Every: Input should be a valid integer, unable to parse string as an integer "
                      "(got '7.5')."),
    ({"prompt": "a" * 21}, "Option 'prompt' of Every: String should have at most 20 characters (got "
                           "'aaaaaaaaaaaaaaaaaaaaa')."),
    ({"prompt": "A"}, "Option 'prompt' of Every: String should match pattern '^[a-z ]*$' (got 'A')."),
    ({"seed": 1, "colour": 3}, "Every has no option 'colour'; it has quality, close_lips, multiplier, seed, prompt."),
]  # fmt: skip


class EveryEngine(MeshEngine):
    """An engine with options and no settings."""

    info = replace(INFO, name="every", title="Every")
    Options = EveryOptions


@pytest.mark.parametrize(("given", "said"), WRONG)
def test_a_wrong_one_is_one_sentence_the_same_by_class_and_by_schema(given: dict[str, Any], said: str) -> None:
    with pytest.raises(StudioError) as by_class:
        EveryEngine().options(given)
    with pytest.raises(StudioError) as by_schema:
        checked_options(options_of_schema(options_schema(EveryOptions())), "Every", {}, given)
    assert str(by_class.value) == str(by_schema.value) == said


def test_text_is_read_as_the_options_type() -> None:
    given = {"close_lips": "no", "multiplier": "0.5", "seed": "7", "quality": "small", "prompt": "blue sky"}
    found = EveryEngine().options(given)
    assert found == EveryOptions(close_lips=False, multiplier=0.5, seed=7, quality="small", prompt="blue sky")
    by_schema = checked_options(options_of_schema(options_schema(EveryOptions())), "Every", {}, given)
    assert found is not None and by_schema.model_dump() == found.model_dump()


class PlainEngine(MeshEngine):
    """Has no options."""

    Options = None


def test_an_engine_without_options_takes_none() -> None:
    assert PlainEngine().options() is None
    with pytest.raises(StudioError, match=r"^Mesh warp has no options; leave out 'seed'\.$"):
        PlainEngine().options({"seed": 1})


def test_the_schema_says_what_holds_here_and_what_values_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_LIVEPORTRAIT_REGION", "lip")
    options = load("liveportrait").options({"multiplier": "2"})
    assert options is not None
    region = options_schema(options)["properties"]["region"]
    assert (region["default"], region["titles"]["lip"], region["title"]) == ("lip", "the lips", "Region")
    assert options_schema(options)["properties"]["multiplier"] | {"description": ""} == {
        "default": 2.0, "description": "", "maximum": 3.0, "minimum": 0.0, "title": "Multiplier", "type": "number",
    }  # fmt: skip
    assert value_title(EveryOptions, "quality", "small") == "256 pixels"
    assert value_title(EveryOptions, "quality", "other") == value_title(None, "quality", "other") == "other"


def test_a_field_that_no_form_can_show_is_refused() -> None:
    class Nested(EngineOptions):
        places: list[int] = Field([1], description="of something")

    with pytest.raises(StudioError, match="Option 'places' is not a boolean"):
        options_schema(Nested())


@pytest.mark.parametrize("name", names())
def test_every_engine_of_ours_has_options_that_a_form_can_show(name: str) -> None:
    options = load(name).options()
    for option, about in ({} if options is None else options_schema(options)["properties"]).items():
        assert about["description"], option
        assert set(about.get("enum", ())) == set(about.get("titles", ())), option


def test_options_of_the_settings_begin_a_scene_by_their_types() -> None:
    settings = Settings(engine="dyed", engines=ENGINES, options={"blue": "30"})
    assert options_to_start_with(settings) == {"blue": 30}
    with pytest.raises(StudioError, match="Option 'blue' of Dyed card"):
        options_to_start_with(settings.model_copy(update={"options": {"blue": "much"}}))
    assert options_to_start_with(Settings()) == {}
