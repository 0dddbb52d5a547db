"""The scene as a message and as a file."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from shared.scene import Scene


def test_a_change_counts_and_no_change_does_not() -> None:
    scene = Scene()
    assert scene.changed(label=False).revision == scene.revision + 1
    assert scene.changed(label=scene.label) is scene


def test_another_engine_begins_with_options_of_its_own() -> None:
    scene = Scene(engine="personalive").changed(options={"quality": "384"})
    assert scene.options == scene.changed(avatar="mona", engine="personalive").options == {"quality": "384"}
    assert scene.changed(engine="mesh").options == {}
    assert scene.changed(engine="other", options={"quality": "256"}).options == {"quality": "256"}


def test_a_file_from_before_a_field_was_there_is_read(tmp_path: Path) -> None:
    scene = Scene(revision=4, avatar="mona", muted=True)
    old = scene.as_dict()
    del old["options"]
    (tmp_path / "scene.json").write_text(json.dumps(old), encoding="utf-8")
    assert Scene.load(tmp_path / "scene.json") == scene
    (tmp_path / "scene.json").write_text(json.dumps(old | {"quality": "384"}), encoding="utf-8")
    assert Scene.load(tmp_path / "scene.json") == replace(scene, options={"quality": "384"})
    (tmp_path / "scene.json").write_text(json.dumps(old | {"quality": ""}), encoding="utf-8")
    assert Scene.load(tmp_path / "scene.json") == scene
    with pytest.raises(ValueError):
        Scene.from_dict(old)


def test_it_survives_a_message_and_a_file(tmp_path: Path) -> None:
    scene = Scene(
        revision=4, avatar="mona", muted=True, options={"quality": "384", "seed": 7, "eyes": True, "pull": 0.5}
    )
    assert Scene.from_dict(scene.as_dict()) == scene
    scene.save(tmp_path / "scene.json")
    assert Scene.load(tmp_path / "scene.json") == scene
    assert [p.name for p in tmp_path.iterdir()] == ["scene.json"]


@pytest.mark.parametrize("change", [{"label": 1}, {"avatar": None}, {"revision": "3"}, {"extra": 1, "loop": []},
    {"options": []}, {"options": {"a": [1]}}, {"options": {"a": None}}, {"options": {1: "a"}},
])  # fmt: skip
def test_fields_of_another_type_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Scene.from_dict(Scene().as_dict() | change)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"avatar": 3}'])
def test_a_damaged_file_is_no_scene(tmp_path: Path, content: str) -> None:
    (tmp_path / "scene.json").write_text(content, encoding="utf-8")
    assert Scene.load(tmp_path / "scene.json") is None
