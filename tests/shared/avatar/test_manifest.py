"""`avatar.json` as a typed file."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.avatar.manifest import FILE, read_avatar_manifest
from shared.errors import StudioError

WRITTEN: dict[str, Any] = {
    "schema": 1,
    "name": "anna",
    "rights": "mine, März 2026",
    "created": "2026-01-01T00:00:00+00:00",
    "own_plate": False,
    "rest": [1.5, -0.25],
    "sources": {"portrait": "p.jpg", "body": "b.mp4"},
    "versions": {"studio": "0.1.0", "litert": "2.3.0", "opencv": "4.11.0"},
    "portrait": {"width": 800, "height": 600},
    "roi": {"size": 512, "face": 269.5, "relit": True},
    "plate": {"width": 720, "height": 1280, "fps": 25.0, "frames": 250, "kind": "video"},
    "notes": ["p.jpg shows 2 faces; the largest was taken."],
}


def written(folder: Path, **changes: Any) -> Path:
    (folder / FILE).write_text(json.dumps({**WRITTEN, **changes}), encoding="utf-8")
    return folder


def test_a_manifest_is_written_as_it_was_read(tmp_path: Path) -> None:
    manifest = read_avatar_manifest(written(tmp_path))
    assert (manifest.name, manifest.rest, manifest.plate.kind, manifest.sources.body) == (
        "anna", (1.5, -0.25), "video", "b.mp4",
    )  # fmt: skip
    manifest.save(tmp_path)
    assert json.loads((tmp_path / FILE).read_text(encoding="utf-8")) == WRITTEN
    assert "März" in (tmp_path / FILE).read_text(encoding="utf-8")


def test_keys_of_a_later_studio_are_kept(tmp_path: Path) -> None:
    manifest = read_avatar_manifest(written(tmp_path, added={"a": 1}))
    manifest.save(tmp_path)
    assert json.loads((tmp_path / FILE).read_text(encoding="utf-8"))["added"] == {"a": 1}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": 2}, "has format 2, this studio reads 1"),
        ({"schema": None}, "has format None"),
        ({"rest": [1.0]}, r"damaged \(rest"),
        ({"name": 5}, r"damaged \(name"),
        ({"plate": {"width": "wide"}}, r"damaged \(plate.width"),
    ],
)
def test_what_does_not_fit_is_one_sentence(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(StudioError, match=words):
        read_avatar_manifest(written(tmp_path, **changes))


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b'{"schema": 1'])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(StudioError, match="add"):
        read_avatar_manifest(tmp_path)


def test_an_avatar_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="There is no avatar 'anna'"):
        read_avatar_manifest(tmp_path / "anna")
