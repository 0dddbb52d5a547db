"""The driver given to `studio live`, in the form that the scene stores."""

from pathlib import Path

import pytest
from rich.console import Console

from cli.live import run_live, scene_driver_for_file
from services.local import samples
from shared.config.settings import load_settings
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


@pytest.mark.parametrize(
    ("avatar", "driver", "made"),
    [("mine", "browser", []), ("mine", "sample", ["driver"]), ("sample-video", "browser", ["avatars"])],
)
def test_no_more_samples_are_made_than_are_asked_for(
    avatar: str, driver: str, made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    begun: list[str] = []
    monkeypatch.setattr(samples, "ensure_sample_avatars", lambda home, progress: begun.append("avatars"))
    monkeypatch.setattr(samples, "ensure_sample_driver", lambda home, progress: begun.append("driver"))
    settings = load_settings(home=tmp_path / "home", avatar=avatar, driver=driver)
    with pytest.raises(StudioError, match=f"no avatar '{avatar}'"):
        run_live(settings, port_asked=False, duration=None, open_page=False, console=Console(quiet=True))
    assert begun == made
