"""Texts are spoken in order, sentence by sentence, with the time at which each is heard, until interrupted."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from harness.channel import PATIENCE_S
from services.gateway.channel import speech_queue, text_speech
from services.gateway.channel.event_log import EventLog
from services.gateway.channel.speech_queue import SpeechQueue, Utterance
from services.gateway.channel.spoken_lines import SpokenLines
from services.gateway.channel.text_speech import MAX_TEXT_CHARACTERS, TextSpeech
from shared.errors import StudioError
from shared.media.array_types import AudioSamples
from shared.runtime.clock import SOUND_RATE_HZ, US, now
from shared.voices.api import Spoken, SpokenWord, Voice, VoiceError
from tests.support.files.sound_files import tone

DELAY_US = 40_000


class ToneVoice(Voice):
    """Speaks each word as a tone of a tenth of a second.

    spoken: sentences that it received. held: it stalls before a sentence that contains this text. ended: whether such a
    stall has ended.
    """

    name = "tone"
    title = "Tone"

    def __init__(self) -> None:
        self.spoken: list[str] = []
        self.held = ""
        self.ended = False

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        self.spoken.append(text)
        if "fails" in text:
            raise VoiceError("Tone is out of tune; use another voice.")
        if self.held and self.held in text:
            try:
                await asyncio.sleep(3600)
            finally:
                self.ended = True
        for number, word in enumerate(text.split()):
            times = (SpokenWord(word, number / 10, (number + 1) / 10),)
            yield Spoken(tone(0.1, 300 + 100 * number).tobytes(), SOUND_RATE_HZ, times)


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - what it waits for is in another thread
        await asyncio.sleep(0.001)


class TextStage:
    """A speech queue on a clock that this stage drives, with its texts and the blocks it has sent."""

    def __init__(self, voice: ToneVoice) -> None:
        self.voice, self.at = voice, now()
        self.said: list[tuple[int, AudioSamples]] = []
        self.log = EventLog()
        self.speech = SpeechQueue(
            self.log, lambda pts, samples: self.said.append((pts, samples)), self.said.clear, lambda: DELAY_US
        )
        self.texts = TextSpeech(self.speech, self.log, "")

    def run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        async def whole() -> None:
            await asyncio.wait_for(scenario(), PATIENCE_S)

        try:
            asyncio.run(whole())
        finally:
            self.texts.close()

    async def complete(self, *utterances: Utterance) -> None:
        """Wait until the voice has spoken all of these utterances."""
        await until(lambda: all(each.complete for each in utterances))

    def pump(self, true: Callable[[], bool]) -> None:
        """Advance the clock and pump the queue until `true` returns True."""
        for _ in range(10_000):
            if true():
                return
            self.speech.pump(self.at)
            self.at += 10_000
        raise AssertionError("it did not become true")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[TextStage]:
    voice = ToneVoice()
    monkeypatch.setattr(text_speech, "open_voice", lambda name: voice)
    made = TextStage(voice)
    monkeypatch.setattr(speech_queue, "now", lambda: made.at)
    yield made


@pytest.mark.unit
def test_sentences_are_heard_in_order_each_with_its_times(stage: TextStage) -> None:
    async def scenario() -> None:
        first, _ = await stage.texts.add("One two three. Four five!")
        second, _ = await stage.texts.add("Six.")
        await stage.complete(first, second)
        stage.pump(lambda: not stage.speech.queue)
        lines = [*first.lines.heard(), *second.lines.heard()]
        assert [line.text for line in lines] == stage.voice.spoken == ["One two three.", "Four five!", "Six."]
        begin = stage.said[0][0] + DELAY_US
        times = [((line.start or 0) - begin, (line.end or 0) - begin) for line in lines]
        assert np.allclose(times, [(0, 300_000), (300_000, 500_000), (500_000, 600_000)], atol=50)
        assert [word.text for word in lines[0].words] == ["One", "two", "three."] and abs(
            lines[0].words[1].start - 0.1
        ) < 1e-4
        assert {line.utterance for line in lines} == {first.id, second.id} and not any(line.cut for line in lines)
        assert sum(len(samples) for _, samples in stage.said) == 0.6 * SOUND_RATE_HZ

    stage.run(scenario)


@pytest.mark.unit
def test_the_first_sentence_is_heard_while_the_voice_works_at_the_next(stage: TextStage) -> None:
    stage.voice.held = "waits"

    async def scenario() -> None:
        text, begun = await stage.texts.add("This comes. This waits.")
        await begun.wait()
        await until(lambda: len(stage.voice.spoken) >= 2)
        stage.pump(lambda: text.state == "started")
        stage.pump(lambda: text.first is not None and stage.at > text.first + 10 * US)  # it waits for a slow voice
        assert text.state == "started" and not text.note

    stage.run(scenario)


@pytest.mark.unit
def test_an_interrupt_ends_the_synthesis_and_keeps_what_was_heard(stage: TextStage) -> None:
    stage.voice.held = "waits"

    async def scenario() -> None:
        text, _ = await stage.texts.add("One two three four five six seven eight. Nine. This waits. And more.")
        following, _ = await stage.texts.add("Never.")
        await until(lambda: len(stage.voice.spoken) >= 3)
        begun = stage.at
        stage.pump(lambda: stage.at >= begun + US // 2)
        assert stage.speech.interrupt() == [text.id, following.id]
        await until(lambda: stage.voice.ended)
        heard = text.lines.heard()
        assert [line.text for line in heard] == ["One two three four five six seven eight."] and heard[0].cut
        assert heard[0].start and heard[0].end == stage.at and 300_000 < heard[0].end - heard[0].start < 500_000
        assert not following.lines.heard() and "Never." not in stage.voice.spoken
        again, _ = await stage.texts.add("Again.")
        await stage.complete(again)

    stage.run(scenario)


@pytest.mark.unit
def test_a_voice_that_fails_says_why_and_the_queue_goes_on(stage: TextStage) -> None:
    async def scenario() -> None:
        failing, begun = await stage.texts.add("This fails.")
        following, _ = await stage.texts.add("This is heard.")
        await begun.wait()
        await stage.complete(failing, following)
        stage.pump(lambda: not stage.speech.queue)
        assert failing.note == "Tone is out of tune; use another voice." and failing.state == "ended"
        assert following.state == "ended" and len(following.lines.heard()) == 1
        assert any(event.kind == "error" and "out of tune" in event.text for event in stage.log.events())

    stage.run(scenario)


@pytest.mark.unit
def test_a_text_keeps_its_place_between_other_speech(stage: TextStage) -> None:
    async def scenario() -> None:
        def add(sound: AudioSamples) -> tuple[Utterance, AudioSamples]:
            return stage.speech.add("file"), sound

        before = add(tone(0.2, 700))
        text, _ = await stage.texts.add("In between.")
        after = add(tone(0.2, 900))
        for utterance, sound in (before, after):
            await utterance.write(sound)
            utterance.finish()
        await stage.complete(text)
        stage.pump(lambda: not stage.speech.queue)
        whole = np.concatenate([samples for _, samples in stage.said])
        expected = [before[1], tone(0.1, 300), tone(0.1, 400), after[1]]
        assert np.array_equal(whole, np.concatenate(expected))

    stage.run(scenario)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("text", "words"),
    [("", "contains nothing"), ("… !!", "contains nothing"), ("a" * (MAX_TEXT_CHARACTERS + 1), "at most")],
)
def test_what_cannot_be_spoken_is_refused(stage: TextStage, text: str, words: str) -> None:
    async def scenario() -> None:
        with pytest.raises(StudioError, match=words):
            await stage.texts.add(text)

    stage.run(scenario)


@pytest.mark.unit
def test_a_line_that_was_taken_back_gets_its_times_when_it_is_heard() -> None:
    lines = SpokenLines("u")
    lines.begin("One.", 0)
    lines.add_written(np.full(1440, 900, np.int16), 0)
    lines.add_sent(960, 1_000_000)
    assert lines.heard()[0].start == 1_000_000
    lines.rewind()
    assert not lines.heard()
    lines.add_sent(960, 5_000_000)
    lines.add_sent(960, 5_020_000)
    lines.begin("Two.", 1440)  # the first line ended inside a block that was already sent
    lines.add_written(np.full(1440, 900, np.int16), 1440)
    lines.add_sent(960, 9_000_000)
    lines.finish(2880)
    told: list[Any] = [(line.start, line.end) for line in lines.heard()]
    assert told == [(5_000_000, 5_030_000), (5_030_000, 9_020_000)]
    assert lines.line_at(5_030_000) is lines.heard()[1] and lines.line_at(9_020_000) is None
