"""An engine's own settings come from the same places as all settings, and a wrong one is reported in one sentence."""

from pathlib import Path

import pytest

from engines.registry import load
from shared.config.settings import load_settings
from shared.errors import StudioError
from tests.support.engines.job_engines import ENGINES, DyedOptions, DyedSettings


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_variables_go_over_the_file_and_that_over_defaults(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert DyedSettings.load().blue == 10
    (here / "studio.toml").write_text("[dyed]\nblue = 30\nthreads = 4\n", encoding="utf-8")
    assert (DyedSettings.load().blue, DyedSettings.load().threads) == (30, 4)
    monkeypatch.setenv("STUDIO_DYED_BLUE", "40")
    settings = DyedSettings.load()
    assert (settings.blue, settings.threads) == (40, 4)
    assert [settings.origin(name) for name in ("blue", "threads")] == ["environment", "studio.toml"]
    assert load("dyed", ENGINES).options() == DyedOptions(blue=40), "what its settings say is its options' default"
    assert DyedSettings.load({"blue": 50}).blue == 50


def test_a_wrong_one_is_one_sentence(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_DYED_BLUE", "much")
    with pytest.raises(StudioError, match=r"dyed\.blue'"):
        DyedSettings.load()
    monkeypatch.delenv("STUDIO_DYED_BLUE")
    monkeypatch.setenv("STUDIO_DYED_BLEU", "1")
    with pytest.raises(StudioError, match="STUDIO_DYED_BLEU is not a setting"):
        DyedSettings.load()
    monkeypatch.delenv("STUDIO_DYED_BLEU")
    (here / "studio.toml").write_text("[dyed]\nbleu = 1\n", encoding="utf-8")
    with pytest.raises(StudioError, match=r"'dyed\.bleu' in studio\.toml, line 2, is not a setting"):
        DyedSettings.load()
    (here / "studio.toml").write_text("dyed = 3\n", encoding="utf-8")
    with pytest.raises(StudioError, match=r"'dyed' in studio\.toml, line 1, is not a table"):
        DyedSettings.load()


def test_an_engine_without_settings_says_that_it_has_none(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = load("mesh")
    monkeypatch.setenv("STUDIO_MESH_DEVICE", "cpu")
    for call in (mesh.settings, mesh.check):
        with pytest.raises(StudioError, match="STUDIO_MESH_DEVICE is not a setting"):
            call()
    monkeypatch.delenv("STUDIO_MESH_DEVICE")
    (here / "studio.toml").write_text("fps = 30\n\n[mesh]\ndevice = 'cpu'\n", encoding="utf-8")
    with pytest.raises(StudioError, match=r"'mesh\.device' in studio\.toml, line 4, is not a setting"):
        mesh.settings()


def test_a_variable_of_an_engine_whose_name_goes_on_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_DHLIVE_OLD_DEVICE", "cpu")
    assert load("dhlive").settings() is not None
    old = load("dhlive_old").settings()
    assert old is not None and old.origin("device") == "environment"
    monkeypatch.setenv("STUDIO_DHLIVE_OLD_DEVICE_", "cpu")
    with pytest.raises(StudioError, match="STUDIO_DHLIVE_OLD_DEVICE_ is not a setting"):
        load("dhlive_old").settings()


def test_a_setting_of_a_job_that_is_none_is_not_looked_for_in_the_file() -> None:
    with pytest.raises(StudioError, match=r"'dyed\.bleu' is not a setting"):
        DyedSettings.load({"bleu": 1})


def test_the_studio_leaves_them_to_the_engine(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_DYED_BLUE", "1")
    with pytest.raises(StudioError, match="STUDIO_DYED_BLUE is not a setting"):
        load_settings()
    assert load_settings(engines=ENGINES).engines == ENGINES
    table = "\n".join(f'{name} = "{where}"' for name, where in ENGINES.items())
    (here / "studio.toml").write_text(
        f"fps = 30\n[engines]\n{table}\n[dyed]\nblue = 2\n[liveportrait]\nregion = 'lip'\n", encoding="utf-8"
    )
    assert load_settings().rate == 30
