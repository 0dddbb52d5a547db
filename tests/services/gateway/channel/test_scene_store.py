"""The scene on disk: a scene that cannot be read, or that names an invalid driver, falls back with a note."""

import json
from pathlib import Path

import pytest

from services.gateway.channel.event_log import EventLog
from services.gateway.channel.scene_store import SceneStore
from shared.config.settings import Settings
from shared.driver_ref import DriverWordError
from shared.scene import Scene

pytestmark = pytest.mark.unit

NO_DRIVERS = [
    "http://x:99999/",
    "rtsp://h:70000/",
    "http://",
    "http://[",
    "rtsp://:80/",
    "camera:9999",
    "gopher://x/",
    "",
    "http://x:-1/",
]


def opened(tmp_path: Path, content: bytes | None, driver: str = "sample") -> tuple[SceneStore, list[str]]:
    settings = Settings(home=tmp_path, run_root=tmp_path, driver=driver)
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    if content is not None:
        (settings.run_dir / "scene.json").write_bytes(content)
    event_log = EventLog()
    return SceneStore(settings, event_log), [event.kind for event in event_log.events()]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"7", b"\xff\xfe", b"[" * 100_000, b'{"revision": 1e999}', b'{"driver": 5}',
                b'{"revision": 99999999999999999999}', b'{"options": {"x": NaN}}', b'{"options": [1]}',
                b'{"neutral": -1}'],
)  # fmt: skip
def test_a_scene_that_cannot_be_read_falls_back_with_a_note(tmp_path: Path, content: bytes) -> None:
    store, kinds = opened(tmp_path, content)
    assert store.scene.driver == "sample" and kinds == ["warning"]
    assert opened(tmp_path / "none", None)[1] == []


@pytest.mark.parametrize("word", NO_DRIVERS)
def test_a_driver_that_is_none_is_never_saved_and_never_kept(tmp_path: Path, word: str) -> None:
    store, kinds = opened(tmp_path, json.dumps(Scene(revision=4).as_dict() | {"driver": word}).encode())
    assert store.scene.driver == "sample" and store.scene.revision == 5 and kinds == ["warning"]
    with pytest.raises(DriverWordError):
        store.change(driver=word)
    assert store.scene.driver == "sample"


@pytest.mark.parametrize("word", [each for each in NO_DRIVERS if "://" in each])
def test_a_setting_that_names_no_driver_falls_back(tmp_path: Path, word: str) -> None:
    store, kinds = opened(tmp_path, None, driver=word)
    assert store.as_started == "sample" and kinds == ["warning"]


@pytest.mark.parametrize("text", ["a\nb", "\ud800", "x" * 10_000, "\x1b[2J"])
def test_an_event_is_one_line_that_json_can_have(text: str) -> None:
    event_log = EventLog()
    event_log.add(text)
    said = event_log.events()[0].text
    assert said.isprintable() and len(said) <= 500 and json.dumps(said).encode()
