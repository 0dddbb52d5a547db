"""Settings files and variables as any editor or shell leaves them.

They are read, or refused in one sentence that says where the fault is.
"""

import json
from pathlib import Path

import pytest

from shared.config.settings import Settings, load_settings
from shared.config.toml_file import line_of
from shared.errors import StudioError

FILE = 'fps = 30\navatar = "Müller"\n\n[sessions]\nmax_sessions = 3\n'


@pytest.fixture(autouse=True)
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "studio.toml"


def _refused() -> str:
    with pytest.raises(StudioError) as caught:
        load_settings()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_a_file_of_any_editor_is_read(encoding: str, ends: str, toml: Path) -> None:
    toml.write_bytes(FILE.replace("\n", ends).encode(encoding))
    settings = load_settings()
    assert (settings.fps, settings.avatar, settings.sessions.max_sessions) == (30, "Müller", 3)
    toml.write_bytes(FILE.replace("3\n", "-3\n").replace("\n", ends).encode(encoding))
    assert "'sessions.max_sessions' in studio.toml, line 5" in _refused()


@pytest.mark.parametrize("mark, order", [(b"\xff\xfe", "le"), (b"\xfe\xff", "be")])
def test_either_order_of_utf_16_is_read(mark: bytes, order: str, toml: Path) -> None:
    toml.write_bytes(mark + FILE.encode(f"utf-16-{order}"))
    assert load_settings().avatar == "Müller"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1251", "gb18030", "shift-jis"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_another_encoding_names_the_line_and_the_setting(encoding: str, ends: str, toml: Path) -> None:
    text = {"latin-1": "Müller", "cp1251": "Мила", "gb18030": "主播", "shift-jis": "花子"}[encoding]
    toml.write_bytes(FILE.replace("Müller", text).replace("\n", ends).encode(encoding))
    said = _refused()
    assert said.startswith("studio.toml, line 2, setting 'avatar', is not text in UTF-8")
    assert "codec" not in said and "byte" not in said


@pytest.mark.parametrize("data", ["fps = 30\n".encode("utf-16-le"), b"\x00" * 64, b"fps = 30\n\x00\n"])
def test_a_file_that_is_no_text_is_refused(data: bytes, toml: Path) -> None:
    toml.write_bytes(data)
    assert "studio.toml is not UTF-8 text" in _refused()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("fps = 30\navatar = mine\n", "studio.toml, line 2, setting 'avatar'"),
        ('avatar = "mine\nfps = 3\n', "studio.toml, line 1, setting 'avatar'"),
        ("fps = 30\n\nfps = 20\n", "studio.toml, line 3, setting 'fps'"),
        ("[sessions]\nmax_sessions =\n", "studio.toml, line 2, setting 'sessions.max_sessions'"),
        ("fps 30\n", "studio.toml, line 1:"),
        ('x = """\n', "studio.toml, line 1, setting 'x'"),
    ],
)
def test_what_is_not_toml_names_the_line_and_the_setting(text: str, place: str, toml: Path) -> None:
    toml.write_text(text, encoding="utf-8")
    assert _refused().startswith(place)


def test_an_unknown_setting_names_its_line(toml: Path) -> None:
    toml.write_text("fps = 30\n# prot = 1\nprot = 3\n", encoding="utf-8")
    assert "'prot' in studio.toml, line 3, is not a setting" in _refused()
    toml.write_text("[sessions]\n\nmax = 3\n", encoding="utf-8")
    assert "'sessions.max' in studio.toml, line 3, is not a setting" in _refused()
    assert line_of(["nothing"]) == 0


def test_a_folder_or_a_broken_link_of_the_files_name_is_refused(toml: Path) -> None:
    toml.mkdir()
    assert f"{toml} is a folder" in _refused()
    toml.rmdir()
    toml.symlink_to("nowhere")
    assert f"{toml} is a link" in _refused()


@pytest.mark.parametrize("name", sorted(Settings.model_fields.keys() - Settings.REFUSED_EMPTY))
def test_an_empty_variable_is_one_that_is_not_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = load_settings()
    monkeypatch.setenv(Settings.variable(name), "")
    assert load_settings() == plain
    assert Settings.origin(name) == "default"


def test_an_empty_variable_leaves_the_file_and_others_variables_in_force(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text("fps = 30\n", encoding="utf-8")
    monkeypatch.setenv("STUDIO_FPS", "")
    monkeypatch.setenv("STUDIO_LIVEKIT_URL", "")
    monkeypatch.setenv("LIVEKIT_URL", "wss://plain")
    assert (load_settings().fps, load_settings().livekit_url) == (30, "wss://plain")


@pytest.mark.parametrize("text", ["a.b,C.d", "a.b, c.d", "a.b c.d", "a.b;c.d,", '["a.b", "c.d"]'])
def test_a_list_may_be_plain_text(text: str, toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_ALLOWED_HOSTS", text)
    assert load_settings().allowed_hosts == ["a.b", "c.d"]
    monkeypatch.delenv("STUDIO_ALLOWED_HOSTS")
    toml.write_text(
        f"allowed_hosts = '{text}'\n[sessions]\nallowed_livekit_urls = 'ws://a, ws://b'\n", encoding="utf-8"
    )
    assert load_settings().allowed_hosts == ["a.b", "c.d"]
    assert load_settings().sessions.allowed_livekit_urls == ["ws://a:80", "ws://b:80"]


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("STUDIO_ALLOWED_HOSTS", '["a.b"'),
        ("STUDIO_SESSIONS", "3"),
        ("STUDIO_SESSIONS", '{"max_sessions": -1}'),
        ("STUDIO_SESSIONS", '{"most": 1}'),
        ("STUDIO_OPTIONS", "quality=3"),
        ("STUDIO_ENGINES", '["x"]'),
        ("STUDIO_ENGINES", "[" * 100_000),
        ("STUDIO_FPS", "many"),
        ("STUDIO_CLEAN_FEED", "air"),
        ("LIVEKIT_URL", "ftp://x"),
        ("studio_fps", "many"),
    ],
)
def test_a_wrong_variable_is_named_with_its_setting(variable: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, text)
    said = _refused()
    assert variable in said and variable.lower().removeprefix("studio_") in said


def test_layers_of_a_table_go_over_one_another(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml.write_text("[sessions]\nallowed_livekit_urls = ['ws://a']\nmax_sessions = 2\n", encoding="utf-8")
    monkeypatch.setenv("STUDIO_SESSIONS", json.dumps({"max_sessions": 5}))
    sessions = load_settings().sessions
    assert (sessions.allowed_livekit_urls, sessions.max_sessions) == (["ws://a:80"], 5)


def test_a_variable_in_small_letters_counts_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("studio_fps", "30")
    assert (load_settings().fps, Settings.origin("fps")) == (30, "environment")
    monkeypatch.setenv("STUDIO_FPS", "50")
    assert load_settings().fps == 50


def test_a_path_that_is_no_text_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_HOME", "/srv/M\udcfcller")
    settings = load_settings()
    assert settings.home == Path("/srv/M\udcfcller")
    assert settings.environment()["STUDIO_HOME"] == "/srv/M\udcfcller"
