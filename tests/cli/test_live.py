"""The driver that `studio live` is given, as the scene has it."""

from pathlib import Path

import pytest

from cli.live import scene_driver_for_file
from shared.errors import StudioError


def test_a_path_may_be_written_in_every_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("a.mp4", "walk"):
        Path(name).touch()
    for given in ("a.mp4", "~/a.mp4", "file:a.mp4", f"file:{tmp_path}/a.mp4"):
        assert scene_driver_for_file(given) == f"file:{tmp_path}/a.mp4"
    assert scene_driver_for_file("motion:walk") == f"motion:{tmp_path}/walk"


@pytest.mark.parametrize("word", ["sample", "speech", "camera:2", "rtsp://host/live"])
def test_what_is_no_file_stays_as_it_is(word: str) -> None:
    assert scene_driver_for_file(word) == word


@pytest.mark.parametrize("given", ["", "none.mp4", "file:", "motion:none.npz", "camera:x", "ftp://host/a.mp4"])
def test_what_is_not_there_is_one_sentence(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudioError, match="There is no driver") as caught:
        scene_driver_for_file(given)
    assert "\n" not in str(caught.value)
