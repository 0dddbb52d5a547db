"""Settings: which source wins, and what is refused."""

from fractions import Fraction
from pathlib import Path

import pytest

from shared.config.settings import Settings, load_settings
from shared.errors import StudioError


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_flags_over_environment_over_file_over_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "studio.toml").write_text('port = 1001\nchannel = "file"\nengine = "file"\n', encoding="utf-8")
    monkeypatch.setenv("STUDIO_PORT", "1002")
    monkeypatch.setenv("STUDIO_CHANNEL", "environment")
    settings = load_settings(port=1003)
    assert (settings.port, settings.channel, settings.engine, settings.fps) == (1003, "environment", "file", 25.0)
    assert [Settings.origin(n, {"port": 1003}) for n in ("port", "channel", "engine", "fps")] == [
        "flag",
        "environment",
        "studio.toml",
        "default",
    ]


@pytest.mark.parametrize(
    "toml, words",
    [("colour = 1", "colour"), ("port = 'x'", "port"), ("port = ", "cannot be read"), ("engines = 3", "engines")],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, toml: str, words: str) -> None:
    (tmp_path / "studio.toml").write_text(toml, encoding="utf-8")
    with pytest.raises(StudioError, match=words) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_an_unknown_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_PROT", "1")
    with pytest.raises(StudioError, match="STUDIO_PROT"):
        load_settings()


def test_services_get_the_same_settings_from_their_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(
        record=Path("out.mp4"), allowed_hosts=["studio.local"], fps=29.97, loop=False, rtmp_url="rtmp://host/live/key"
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


@pytest.mark.parametrize("fps, rate", [(25, Fraction(25)), (29.97, Fraction(30000, 1001)), (12.5, Fraction(25, 2))])
def test_frame_rates_are_exact(fps: float, rate: Fraction) -> None:
    assert Settings(fps=fps).rate == rate


def test_a_stream_key_is_in_nothing_that_people_see() -> None:
    settings = load_settings(rtmp_url="rtmps://user:hush@host.example:443/live/hush?hush=1")
    assert settings.shown()["rtmp_url"] == "rtmps://host.example/***"
    assert "hush" not in f"{settings!r} {settings} {settings.model_dump(mode='json')}"
    for bad in ("http://host/hush", "rtmp:///hush", "rtmp://host", "hush"):
        with pytest.raises(StudioError, match="rtmp_url") as refused:
            load_settings(rtmp_url=bad)
        assert "hush" not in str(refused.value)


def test_a_clean_feed_needs_a_right_that_is_stated() -> None:
    with pytest.raises(StudioError, match="clean_feed_right"):
        load_settings(clean_feed=["rtmp"])
    assert load_settings(clean_feed=["rtmp"], clean_feed_right="own label in the mixer").clean_feed == ["rtmp"]


def test_livekits_own_variables_count_below_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "studio.toml").write_text('livekit_url = "wss://file"\nlivekit_room = "file"\n', encoding="utf-8")
    monkeypatch.setenv("LIVEKIT_URL", "wss://plain")
    assert (load_settings().livekit_url, Settings.origin("livekit_url", {})) == ("wss://plain", "environment")
    monkeypatch.setenv("STUDIO_LIVEKIT_URL", "wss://ours")
    assert (load_settings().livekit_url, load_settings().room) == ("wss://ours", "file")


def test_only_who_needs_it_is_told_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEKIT_API_SECRET", "hidden" * 6)
    settings = load_settings()
    assert "hidden" not in f"{settings} {settings.shown()} {settings.environment(secrets=False)}"
    assert settings.environment()["STUDIO_LIVEKIT_API_SECRET"] == "hidden" * 6


def test_what_an_engine_was_told_reaches_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_PERSONALIVE_QUALITY", "256")
    monkeypatch.setenv("STUDIO_CARD_BLUE", "20")
    told = load_settings(engines={"card": "somewhere:Card"}).environment(secrets=False)
    assert (told["STUDIO_PERSONALIVE_QUALITY"], told["STUDIO_CARD_BLUE"]) == ("256", "20")
