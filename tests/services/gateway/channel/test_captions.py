"""A caption begins with the first sound of its sentence, ends with the last and is reported while it is heard."""

import asyncio

import numpy as np
import pytest

from services.gateway.channel import speech_queue
from services.gateway.channel.captions import Caption, Captions
from services.gateway.channel.event_log import EventLog
from services.gateway.channel.speech_queue import SpeechQueue, Utterance
from services.gateway.channel.spoken_lines import SpokenLine, SpokenLines
from shared.runtime.clock import SOUND_RATE_HZ, US, now
from shared.voices.api import SpokenWord
from tests.support.files.sound_files import tone

DELAY_US = 40_000
RATE_MS = SOUND_RATE_HZ // 1000


def silence(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.full(round(seconds * SOUND_RATE_HZ), 40, np.int16)  # the noise floor of a voice does not count as sound


def told_by(captions: Captions) -> list[Caption]:
    told: list[Caption] = []
    captions.add_listener(told.append)
    return told


class CaptionStage:
    """A speech queue on a clock that this stage drives, the blocks it has sent, and the captions it has reported.

    Utterances have silence around their sound.
    """

    def __init__(self, at: int) -> None:
        self.at, self.sent = at, [(0, tone(0.0))]
        self.queue = SpeechQueue(
            EventLog(), lambda pts, samples: self.sent.append((pts, samples)), self.sent.clear, lambda: DELAY_US
        )
        self.told = told_by(self.queue.captions)

    async def say(self, *lines: str) -> Utterance:
        """Queue an utterance: for each line 0.3 s of silence, half a second of sound and 0.2 s of silence."""
        made = self.queue.add("text", patient=True)
        for line in lines:
            made.lines.begin(line, made.received)
            made.lines.add_words([SpokenWord(line, 0.3, 0.8)])
            await made.write(np.concatenate([silence(0.3), tone(0.5), silence(0.2)]))
        made.finish()
        return made

    def pump(self, until: int) -> None:
        while self.at < until:
            self.queue.pump(self.at)
            self.at += 10_000

    def loud(self) -> list[tuple[int, int]]:
        """Return (first, last) microsecond of each stretch in which the program plays sound, from the sent blocks."""
        found: list[tuple[int, int]] = []
        for pts, samples in self.sent[1:]:
            heard = np.flatnonzero(np.abs(samples) > 200)
            if len(heard):
                first, last = (pts + DELAY_US + int(heard[n]) * US // SOUND_RATE_HZ for n in (0, -1))
                if found and first - found[-1][1] < 5_000:
                    first = found.pop()[0]
                found.append((first, last))
        return found


@pytest.mark.unit
def test_captions_lie_within_100_ms_of_the_first_and_the_last_sound() -> None:
    async def scenario() -> None:
        stage = CaptionStage(now())
        await stage.say("One.", "Two.")
        stage.pump(stage.at + 3 * US)
        over = [each for each in stage.told if each.is_over]
        assert [(each.text, each.state) for each in over] == [("One.", "ended"), ("Two.", "ended")]
        loud = stage.loud()
        assert len(loud) == 2
        for caption, (first, last) in zip(over, loud, strict=True):
            assert abs(caption.start - first) < 1_000 and caption.end and abs(caption.end - last) < 1_000
        first_three = [(each.state, each.end is None) for each in stage.told[:3]]  # the end is known beforehand
        assert first_three == [("started", True), ("started", False), ("ended", False)]
        assert list(stage.queue.captions.recent) == over and not stage.queue.captions.is_pending

    asyncio.run(scenario())


@pytest.mark.unit
def test_an_interrupted_caption_ends_where_it_stopped_and_what_follows_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        begun = now()
        stage = CaptionStage(begun)
        monkeypatch.setattr(speech_queue, "now", lambda: stage.at)
        text = "Of all these words that are in the sentence only some are heard."
        said = await stage.say(text, "Two.")
        stage.pump(begun + US // 2 + DELAY_US)
        assert [each.state for each in stage.told] == ["started"]
        before = stage.told[0]
        stage.queue.interrupt()
        last = stage.told[-1]
        assert last.state == "interrupted" and last.id == before.id and len(stage.told) == 2
        assert last.text.endswith("…") and text.startswith(last.text[:-1] + " ") and before.text == text
        left = sum(len(samples) for samples in (each[1] for each in stage.sent)) if stage.sent else 0
        assert left == 0  # everything sent has been withdrawn
        assert last.end and last.end == stage.at and [line.cut for line in said.lines.heard()] == [True]

    asyncio.run(scenario())


@pytest.mark.unit
def test_a_line_that_is_taken_back_has_a_caption_when_it_is_heard() -> None:
    captions = Captions()
    told = told_by(captions)
    line = SpokenLine("u-1", "u", "One.", start=1000)
    captions.follow(500, [line])
    line.start = None
    captions.follow(1500)
    assert not told and not captions.is_pending
    line.start, line.end = 1200, None  # earlier than the last time that was followed
    captions.follow(1500, [line])
    line.end = 2000
    captions.follow(1600, [line])
    captions.follow(2000, [line])
    captions.follow(2500, [line])
    assert [(each.start, each.end, each.state) for each in told] == [
        (1200, None, "started"), (1200, 2000, "started"), (1200, 2000, "ended")
    ]  # fmt: skip


@pytest.mark.unit
def test_words_are_told_from_the_first_sound() -> None:
    lines = SpokenLines("u")
    lines.begin("One two.", 0)
    lines.add_words([SpokenWord("One", 0.31, 0.5)])
    lines.add_written(silence(0.1), 0)
    lines.add_written(np.concatenate([silence(0.2), tone(0.5)]), 100 * RATE_MS)
    lines.add_words([SpokenWord("two", 0.5, 0.8)])
    lines.add_sent(800 * RATE_MS, 0)
    found = [(word.text, round(word.start, 3), round(word.end, 3)) for word in lines.heard()[0].words]
    assert found == [("One", 0.01, 0.2), ("two", 0.2, 0.5)]


@pytest.mark.unit
def test_a_silent_sentence_lasts_as_long_as_it_is() -> None:
    lines = SpokenLines("u")
    lines.begin("One.", 0)
    lines.add_written(silence(0.1), 0)
    lines.add_sent(100 * RATE_MS, 5000)
    assert not lines.heard()
    lines.finish(100 * RATE_MS)
    assert [(line.start, line.end) for line in lines.heard()] == [(5000, 105_000)]
