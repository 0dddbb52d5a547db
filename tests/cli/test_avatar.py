"""`studio avatar`: a filmed body alone, what it shows, and what is chosen of it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from shared.avatar.film.build import spans_of
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
    said = studio("add", "anchor", "--body", str(film), "--still", "0.2", "--exclude", "0.4-1", "--home", home)
    assert "The portrait is the frame of anchor.mp4 at 0.20 s." in " ".join(said.split())
    shown = json.loads(studio("show", "anchor", "--home", home))
    assert shown["film"]["still"] == 5 and shown["film"]["kept"] == "" and shown["sources"]["portrait"] == ""
    assert {"kind": "excluded", "first": 10, "end": 12} in shown["film"]["stretches"]
    assert Path(shown["film"]["sheet"]).is_file()
    assert not list((tmp_path / "home/avatars/anchor").glob("film.mp4"))
    said = studio("add", "kept", "--body", str(film), "--keep-film", "--home", home)
    assert "The source film is kept with the avatar" in " ".join(said.split())
    assert (tmp_path / "home/avatars/kept/film.mp4").read_bytes() == film.read_bytes()


def test_without_a_portrait_the_body_is_a_film(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="needs a portrait, or a video"):
        studio("add", "x", "--home", str(tmp_path))


@pytest.mark.parametrize("word", ["", "3", "8-3", "a-b", "-1-2", "1-inf"])
def test_a_span_is_two_seconds_in_order(word: str) -> None:
    assert spans_of(["1-2", " 3.5 - 8 "]) == ((1.0, 2.0), (3.5, 8.0))
    with pytest.raises(StudioError, match="FROM-TO in seconds"):
        spans_of([word])
