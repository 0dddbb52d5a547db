"""A text becomes a speech file once: an interrupted run is resumed, and the file is complete or absent."""

import wave
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.config.settings import Settings
from shared.errors import StudioError
from shared.runtime.clock import SOUND_RATE_HZ
from shared.voices import speech_file
from shared.voices.api import Spoken, SpokenWord, Voice, VoiceError
from shared.voices.speech_file import FileLine, make_speech, read_text
from shared.voices.webvtt import Cue, webvtt
from tests.support.files.sound_files import tone

TEXT = "One two. Three. Four five six."


class CountedVoice(Voice):
    """Speaks silence of a tenth of a second for each word.

    given: sentences spoken. away: it fails at a sentence that contains this text.
    """

    name = "counted"
    title = "Counted"

    def __init__(self) -> None:
        self.given: list[str] = []
        self.away = ""
        self.sound: NDArray[np.int16] | None = None  # of every sentence, in place of silence

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        if self.away and self.away in text:
            raise VoiceError("It is away; try again.")
        self.given.append(text)
        if self.sound is not None:
            yield Spoken(self.sound.tobytes(), 16_000)
            return
        for number, word in enumerate(text.split()):
            yield Spoken(bytes(3200), 16_000, (SpokenWord(word, number / 10, number / 10 + 0.1),))


@pytest.fixture
def voice(monkeypatch: pytest.MonkeyPatch) -> CountedVoice:
    made = CountedVoice()
    monkeypatch.setattr(speech_file, "open_voice", lambda name: made)
    return made


def seconds(path: Path) -> float:
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (SOUND_RATE_HZ, 1, 2)
        return file.getnframes() / file.getframerate()


def test_a_text_is_spoken_once_with_the_times_of_its_sentences(tmp_path: Path, voice: CountedVoice) -> None:
    told: list[tuple[int, int]] = []
    made = make_speech(TEXT, Settings(home=tmp_path), progress=lambda done, total: told.append((done, total)))
    assert seconds(made.path) == pytest.approx(0.6, abs=0.01)
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    first, second, third = made.lines
    assert (first.text, first.start, second.text, third.text) == ("One two.", 0.0, "Three.", "Four five six.")
    assert second.start == first.end and third.end == pytest.approx(seconds(made.path))
    assert third.words[1].text == "five" and third.words[1].start == pytest.approx(third.start + 0.1)
    assert make_speech(TEXT, Settings(home=tmp_path)) == made and len(voice.given) == 3
    assert isinstance(second, FileLine) and {path.name for path in made.path.parent.iterdir()} == {
        "speech.wav",
        "speech.vtt",
        "lines.json",
    }


def test_captions_lie_at_the_first_and_the_last_sound_of_each_sentence(tmp_path: Path, voice: CountedVoice) -> None:
    voice.sound = np.concatenate([np.zeros(4800, np.int16), tone(0.2, rate=16_000), np.zeros(1600, np.int16)])
    made = make_speech("One & two. Three.", Settings(home=tmp_path))
    assert [(line.start, line.end) for line in made.lines] == [
        pytest.approx((0.3, 0.5), abs=0.005), pytest.approx((0.9, 1.1), abs=0.005)
    ]  # fmt: skip
    cues = (Cue(round(line.start * 1e6), round(line.end * 1e6), line.text) for line in made.lines)
    assert made.captions.read_text(encoding="utf-8") == webvtt(cues)


def test_a_voice_that_fails_leaves_no_file_and_the_next_run_goes_on(tmp_path: Path, voice: CountedVoice) -> None:
    voice.away = "Four"
    with pytest.raises(StudioError, match="It is away; try again"):
        make_speech(TEXT, Settings(home=tmp_path))
    assert not list(tmp_path.rglob("speech*.wav")) and not list(tmp_path.rglob("2.*"))
    voice.away = ""
    assert seconds(make_speech(TEXT, Settings(home=tmp_path)).path) == pytest.approx(0.6, abs=0.01)
    assert voice.given == ["One two.", "Three.", "Four five six."]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "nothing that can be spoken"),
        (b"\xff\xfe\x41", "is not UTF-8 text"),
        (b"a" * 900_000, "longer than 200000 characters"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "page.txt").write_bytes(content)
    with pytest.raises(StudioError, match=f"page.txt .*{words}"):
        read_text(tmp_path / "page.txt")
    with pytest.raises(StudioError, match=r"none\.txt cannot be read"):
        read_text(tmp_path / "none.txt")
