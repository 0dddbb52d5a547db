"""`studio avatar` for a filmed body alone: what it reports about the film, and which parts the user chooses."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from shared.avatar.film.build import spans_of
from shared.avatar.model import load_avatar
from shared.avatar.samples import sample_portrait, write_body_video
from shared.errors import StudioError


def studio(*words: str) -> str:
    done = CliRunner().invoke(app, ["avatar", *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_a_film_alone_makes_an_avatar_and_show_says_what_it_shows(tmp_path: Path) -> None:
    film, home = tmp_path / "anchor.mp4", str(tmp_path / "home")
    write_body_video(film, sample_portrait(), 12)
    said = studio(
        "add", "anchor", "--body", str(film), "--still", "0.2", "--exclude", "0.4-1", "--no-keep-film", "--home", home
    )
    assert "The portrait is the frame of anchor.mp4 at 0.20 s." in " ".join(said.split())
    shown = json.loads(studio("show", "anchor", "--home", home))
    assert shown["film"]["still"] == 5 and shown["film"]["kept"] == "" and shown["sources"]["portrait"] == ""
    assert {"kind": "excluded", "first": 10, "end": 12} in shown["film"]["stretches"]
    assert Path(shown["film"]["sheet"]).is_file()
    assert not list((tmp_path / "home/avatars/anchor").glob("film.mp4"))


def test_another_still_and_other_parts_can_be_chosen_later(tmp_path: Path) -> None:
    film, home = tmp_path / "anchor.mp4", str(tmp_path / "home")
    write_body_video(film, sample_portrait(), 12)
    folder = tmp_path / "home/avatars/anchor"
    said = studio("add", "anchor", "--body", str(film), "--exclude", "0.4-1", "--rights", "mine", "--home", home)
    size = f"{film.stat().st_size / 1e6:.1f} MB"
    assert f"The source film is kept with the avatar ({size})" in " ".join(said.split())
    assert (folder / "film.mp4").read_bytes() == film.read_bytes()
    frame = load_avatar(folder).plate.jpeg(7)
    said = studio("choose", "anchor", "--still", "0.32", "--home", home)
    assert "The portrait is the frame of anchor.mp4 at 0.32 s." in " ".join(said.split())
    shown = json.loads(studio("show", "anchor", "--home", home))
    assert shown["film"]["still"] == 8 and shown["rights"] == "mine"
    assert {"kind": "excluded", "first": 10, "end": 12} in shown["film"]["stretches"], "not given: as it was"
    assert (folder / "film.mp4").read_bytes() == film.read_bytes()
    assert load_avatar(folder).plate.jpeg(7) == frame, "frames are not compressed again"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700, "read by its user alone, as when it was added"
    studio("choose", "anchor", "--exclude-nothing", "--home", home)
    assert not any(
        each["kind"] == "excluded" for each in json.loads(studio("show", "anchor", "--home", home))["film"]["stretches"]
    )
    with pytest.raises(StudioError, match="no frame at 9 s"):
        studio("choose", "anchor", "--still", "9", "--home", home)
    assert load_avatar(folder).plate.jpeg(7) == frame, "a choice of no use leaves it as it was"


def test_without_a_portrait_the_body_is_a_film(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="needs a portrait, or a video"):
        studio("add", "x", "--home", str(tmp_path))


@pytest.mark.parametrize("word", ["", "3", "8-3", "a-b", "-1-2", "1-inf"])
def test_a_span_is_two_seconds_in_order(word: str) -> None:
    assert spans_of(["1-2", " 3.5 - 8 "]) == ((1.0, 2.0), (3.5, 8.0))
    with pytest.raises(StudioError, match="FROM-TO in seconds"):
        spans_of([word])
