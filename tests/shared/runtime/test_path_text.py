"""Paths as text: every name that a disk can hold survives JSON and msgpack unchanged."""

import json
import os
from pathlib import Path

import pytest

from shared.driver_ref import DriverRef
from shared.errors import StudioError
from shared.runtime.files import path_text, text_path
from shared.wire.message import Message, decode_message, encode_message

NAMES = [b"plain.mp4", "Müller ☺.mp4".encode(), b"M\xfcller.mp4", b"\xff\xfe\x80.mp4", b"\\udcfc.mp4",
    b"a\\udc5cudcfc\xfc", b"\\udczz \\u00fc"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_path_comes_back_from_its_text(name: bytes) -> None:
    path = Path(os.fsdecode(b"/srv/" + name))
    text = path_text(path)
    text.encode()
    assert json.loads(json.dumps(text, ensure_ascii=False)) == text
    assert text_path(text) == path
    assert text_path(str(path)) == path or b"\\udc" in name, "what a user writes"


def test_names_that_are_text_stay_as_they_are() -> None:
    assert path_text(Path("/srv/Müller ☺\\x.mp4")) == "/srv/Müller ☺\\x.mp4"
    assert path_text(Path(os.fsdecode(b"M\xfcller"))) == "M\\udcfcller"
    text_path("\ud800")  # not a path, but no error either


@pytest.mark.parametrize("name", NAMES)
def test_a_drivers_word_can_travel(name: bytes) -> None:
    path = Path(os.fsdecode(b"/srv/" + name))
    word = DriverRef.of_file(path).word
    word.encode()
    assert DriverRef.parse(word).path == path
    assert DriverRef.parse(word).word == word


def test_what_is_no_text_is_escaped_in_sentences_and_messages() -> None:
    assert str(StudioError("There is no file M\udcfcller.")) == "There is no file M\\udcfcller."
    sent = Message("pulse", "main", 1, 1, 1, 1, facts={"note": "M\udcfcller"})
    assert decode_message([bytes(part) for part in encode_message(sent)]).facts == {"note": "M\\udcfcller"}
