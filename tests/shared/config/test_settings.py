"""Settings: which source wins, and what is refused."""

from fractions import Fraction
from pathlib import Path

import pytest

from shared.config.settings import Settings, load_settings, openable_host
from shared.config.token import operator_token
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
    [("colour = 1", "colour"), ("port = 'x'", "port"), ("port = ", "studio.toml, line 1"), ("engines = 3", "engines")],
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


def test_only_a_process_that_needs_a_secret_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEKIT_API_SECRET", "hidden" * 6)
    settings = load_settings()
    assert "hidden" not in f"{settings} {settings.shown()} {settings.environment(secrets=False)}"
    assert settings.environment()["STUDIO_LIVEKIT_API_SECRET"] == "hidden" * 6


def test_what_an_engine_was_told_reaches_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_PERSONALIVE_QUALITY", "256")
    monkeypatch.setenv("STUDIO_CARD_BLUE", "20")
    told = load_settings(engines={"card": "somewhere:Card"}).environment(secrets=False)
    assert (told["STUDIO_PERSONALIVE_QUALITY"], told["STUDIO_CARD_BLUE"]) == ("256", "20")


@pytest.mark.parametrize("host", ["", " ", "a b", "http://x", "127.0.0.1\n", "\x00"])
def test_a_host_that_would_be_every_interface_is_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_HOST", host.replace("\x00", "?"))
    with pytest.raises(StudioError, match=r"'host'.*127\.0\.0\.1"):
        load_settings()


def test_an_empty_home_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_HOME", "")
    with pytest.raises(StudioError, match=r"'home'.*it is empty"):
        load_settings()


@pytest.mark.parametrize(
    ("listens", "opened"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("10.1.2.3", "10.1.2.3")]
)
def test_the_address_that_is_printed_can_be_opened(listens: str, opened: str) -> None:
    assert openable_host(load_settings(host=listens).host) == opened


def test_allowed_hosts_are_compared_as_dns_does() -> None:
    assert load_settings(allowed_hosts=["Studio.Example.COM."]).allowed_hosts == ["studio.example.com"]


@pytest.mark.parametrize("name", ["STUDIO_HOME", "STUDIO_RUN_ROOT", "STUDIO_RECORD", "STUDIO_WEIGHTS"])
@pytest.mark.parametrize("value", [" ", "~no-such-user/x"])
def test_a_path_that_is_none_is_one_sentence(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StudioError, match=name.removeprefix("STUDIO_").lower()) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("STUDIO_LIVEKIT_URL", "http//user:hunter2@host"), ("LIVEKIT_URL", "ftp://user:hunter2@host"),
     ("LIVEKIT_URL", "wss://user:hunter2@host"), ("STUDIO_RTMP_URL", "http://h/hunter2"), ("REDIS_URL", "hunter2"),
     ("STUDIO_LIVEKIT_PUBLIC_URL", "x://u:hunter2@h:99999")],
)  # fmt: skip
def test_a_wrong_address_is_printed_without_its_password(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StudioError) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_a_wrong_value_of_the_file_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "studio.toml").write_text('channel = "a"\n\n[options]\nx = 1\n[engines]\na = 3\n', encoding="utf-8")
    with pytest.raises(StudioError, match=r"'engines.a' in studio.toml, line 6"):
        load_settings()
    (tmp_path / "studio.toml").write_text('channel = "a"\nengines = 5\n', encoding="utf-8")
    with pytest.raises(StudioError, match=r"'engines' in studio.toml, line 2"):
        load_settings()


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o700])
def test_a_home_is_its_users_alone(tmp_path: Path, mode: int) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=mode)
    home.chmod(mode)
    operator_token(home)
    assert home.stat().st_mode & 0o777 == 0o700 and (home / "token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode, closed", [(0o755, 0o700), (0o770, 0o700), (0o555, 0o500), (0o1777, 0o1777)])
def test_whatever_uses_a_home_closes_it_to_others(tmp_path: Path, mode: int, closed: int) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(mode)
    load_settings(home=home)
    assert home.stat().st_mode & 0o7777 == closed
    assert not load_settings(home=tmp_path / "none").home.exists()  # loading the settings creates no home


def test_passwords_of_addresses_are_in_no_printed_setting() -> None:
    settings = load_settings(
        driver="rtsp://user:hunter2@camera/stream?key=hunter2", jobs="s3://key:hunter2@bucket/jobs",
        weights_hub="https://user:hunter2@mirror.example",
    )  # fmt: skip
    shown = settings.shown()
    assert "hunter2" not in f"{shown}"
    assert shown["driver"] == "rtsp://***@camera/stream?***" and shown["weights_hub"] == "https://***@mirror.example"
