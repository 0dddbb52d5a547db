"""Speech on a whole channel: heard and seen, as an answer, silenced by an interrupt, with a stalled generator."""

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import av
import httpx
import numpy as np
import pytest

from compositing.caption import caption_pages
from harness.channel import Studio, studio, wait_for
from harness.far_end import mouth_box, vowel
from harness.speech_server import KEY, SECONDS_A_CHARACTER, speech_server
from harness.talk_server import QUESTION, REPLY, TalkServer, quiet_pcm, spoken_pcm, talk_server
from shared.wire.message import Message
from tests.support.browser.chromium import launched, needs_chromium, until
from tests.support.files.sound_files import wav
from tests.support.files.voice_material import babble
from tests.support.running.channel_looks import ENDS_S, left_out, next_messages, until_state

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LOUD = 1500
MICROPHONE_RATE_HZ = 16_000
ESPEAK = shutil.which("espeak-ng")
TICK_US = 40_000
QUIET_TICKS = 10  # silent ticks in a row, longer than any pause within the speech
LEAST_MOVE = 8  # change of the mouth's mean brightness when it opens; a waiting face has less than 3
MOST_ANSWERS = 8
# `words`: the conversation's states so far; `loudest`: the loudest sound of the page, by state. `look(box, width)`
# appends the brightness of a part of the program to `seen` every 40 ms; `still`: ten values that hardly differ.
EYES_AND_EARS = """(() => {
    const connect = AudioNode.prototype.connect;
    let ear = null;
    AudioNode.prototype.connect = function (to, ...more) {
        if (to instanceof AudioDestinationNode) {
            ear = new AnalyserNode(this.context, { fftSize: 2048 });
            connect.call(this, ear);
        }
        return connect.call(this, to, ...more);
    };
    window.words = [];
    window.loudest = { "Hearing you": 0, Speaking: 0 };
    new MutationObserver(() => {
        const word = document.querySelector("[role=status][aria-label=Conversation]")?.textContent;
        if (word && word !== words.at(-1)) words.push(word);
    }).observe(document, { subtree: true, childList: true, characterData: true });
    setInterval(() => {
        const wave = new Float32Array(2048);
        ear?.getFloatTimeDomainData(wave);
        const word = words.at(-1);
        if (word in loudest) loudest[word] = Math.max(loudest[word], Math.hypot(...wave) / Math.sqrt(2048));
    }, 20);
    window.seen = [];
    window.still = null;
    window.look = ([x, y, w, h], full) => {
        const program = document.querySelector("#program"), small = new OffscreenCanvas(w, h);
        const draw = small.getContext("2d", { willReadFrequently: true });
        setInterval(() => {
            const scale = program.width / full;
            draw.drawImage(program, x * scale, y * scale, w * scale, h * scale, 0, 0, w, h);
            const bytes = draw.getImageData(0, 0, w, h).data;
            seen.push(bytes.reduce((sum, value, i) => (i % 4 === 1 ? sum + value : sum), 0) / (w * h));
            const last = seen.slice(-10); // black until there is a program
            const [least, most] = [Math.min(...last), Math.max(...last)];
            if (last.length === 10 && least > 20 && most - least < 3) still = last;
        }, 40);
    };
})()"""


@pytest.fixture(scope="module")
def talk() -> Iterator[TalkServer]:
    with talk_server() as made:
        yield made


@pytest.fixture(scope="module")
def channel(live_home: Path, talk: TalkServer) -> Iterator[Studio]:
    root = Path(f"/tmp/studio-speech-{os.getpid()}")
    root.mkdir(mode=0o700)
    with speech_server() as server:
        voice = {
            "STUDIO_VOICE": "espeak" if ESPEAK else "openai",
            "STUDIO_VOICE_OPENAI_URL": server.url,
            "STUDIO_VOICE_OPENAI_KEY": KEY,
        }
        voice |= {f"STUDIO_CONVERSATION_{name}_URL": talk.url for name in ("CHAT", "SPEECH_TO_TEXT")}
        voice |= {"STUDIO_CONVERSATION_VIEWERS_MAY_TALK": "1"}
        with studio(live_home, root / "run", "--port", "0", "--driver", "speech", environment=voice) as started:
            yield started.on_air()
            started.end()
    shutil.rmtree(root)


def request(channel: Studio, method: str, path: str, **more: object) -> httpx.Response:
    address, headers = f"{channel.base}/api/v1{path}", {"Authorization": f"Bearer {channel.token}"}
    return httpx.request(method, address, headers=headers, timeout=ENDS_S, trust_env=False, **more)  # type: ignore[arg-type]


def ask(channel: Studio, path: str, **more: object) -> httpx.Response:
    return request(channel, "POST", f"/channels/main/speech{path}", **more)


def say(channel: Studio, seconds: float) -> str:
    """Speak a vowel; return the utterance's id."""
    answer = ask(channel, "", files={"audio": ("a.wav", wav(vowel(seconds)))})
    assert answer.status_code == 201
    return str(answer.json()["id"])


def _over(channel: Studio, utterance: str) -> str:
    """Return the state in which an utterance ended; "" while it has not ended."""
    rows = {row["id"]: row["state"] for row in channel.state()["speech"]["recent"]}
    return str(rows.get(utterance, ""))


def is_loud(message: Message) -> bool:
    """Return whether the sound of a tick is loud."""
    return bool(np.abs(message.array).max(initial=0) > LOUD)


def until_silent(channel: Studio) -> None:
    """Wait until some ticks in a row are silent."""
    wait_for(lambda: not any(map(is_loud, next_messages(channel, "sound", QUIET_TICKS))), what="silence", every=0)


def test_it_waits_on_air_and_speaks_with_its_mouth(channel: Studio) -> None:
    until_state(channel, "idle")
    wait_for(lambda: channel.state()["on_air_state"] == "ON AIR", what="on air")
    program, seen = channel.read("program"), set[str]()

    def is_over(utterance: str) -> bool:
        seen.update(message.facts["state"] for message in program.read())
        return bool(_over(channel, utterance))

    def is_seen() -> bool:  # a busy machine may miss every movement of the mouth
        said = say(channel, 1.5)
        wait_for(partial(is_over, said), what="said to its end")
        assert _over(channel, said) == "ended"
        return "live" in seen

    wait_for(is_seen, ENDS_S, "the mouth speaks")
    program.close()
    until_state(channel, "idle")


def test_an_interrupt_is_silence_in_the_program(channel: Studio) -> None:
    for pause in (0.0, 0.017, 0.033):
        said = say(channel, 20)
        next_messages(channel, "sound", 1, is_loud)
        time.sleep(pause)
        assert ask(channel, "/interrupt").json()["interrupted"]
        until_silent(channel)
        assert _over(channel, said) == "interrupted"
        assert not any(map(is_loud, next_messages(channel, "sound", QUIET_TICKS))), "and it stays so"


def test_a_generator_that_stalls_leaves_the_sound_alone(channel: Studio) -> None:
    speech = np.asarray(32_767 * babble(300), np.int16)  # two minutes; a lasting vowel would not count as speech
    assert ask(channel, "", files={"audio": ("a.wav", wav(speech))}).status_code == 201
    until_state(channel, "live")
    behind = distance(channel)
    generator = channel.pids()["generator"]
    os.kill(generator, signal.SIGSTOP)
    try:
        until_state(channel, "plate")
        next_messages(channel, "sound", 40, is_loud)
    finally:
        os.kill(generator, signal.SIGCONT)
    until_state(channel, "live")
    wait_for(lambda: distance(channel) <= behind + TICK_US, what="nothing is made up for", every=0)
    ask(channel, "/interrupt")


def distance(channel: Studio) -> int:
    """Return the microseconds by which the face follows its voice, once the sound is delayed as much.

    The least of several frames counts: a busy machine shows a face for several ticks.
    """

    def agreed() -> int | None:
        frames = [
            m for m in next_messages(channel, "program", 25, lambda m: m.facts["captured"]) if m.facts["captured"]
        ]
        behind = min(m.pts - m.facts["captured"] for m in frames)
        return behind if abs(channel.state()["program"]["voice_delay_ms"] * 1000 - behind) < TICK_US / 2 else None

    found: int = wait_for(agreed, what="sound waits for the face", every=0)
    return found


def cue_times(webvtt: str) -> list[tuple[float, float]]:
    """Return (start, end) in seconds of each cue that begins and ends within the first hour."""
    found = re.findall(r"^00:(\d\d):([\d.]+) --> 00:(\d\d):([\d.]+)$", webvtt, re.MULTILINE)
    return [(60 * int(m) + float(s), 60 * int(n) + float(t)) for m, s, n, t in found]


def loud_spans(path: Path) -> list[tuple[float, float]]:
    """Return (start, end) in seconds of each loud stretch of a file; silences shorter than 100 ms do not split one."""
    found: list[tuple[float, float]] = []
    with av.open(str(path)) as container:
        for block in container.decode(audio=0):
            assert block.time is not None
            heard = np.flatnonzero(np.abs(block.to_ndarray()[0]) > LOUD / 32768) / block.sample_rate + block.time
            for at in (float(heard[0]), float(heard[-1])) if len(heard) else ():
                begin = found.pop()[0] if found and at - found[-1][1] < 0.1 else at
                found.append((begin, at))
    return found


SENTENCES = ("This goes <first>.", "And this & that.")


class Take(NamedTuple):
    """A recording of the sentences.

    captions, heard, burnt: (start, end) in seconds of the captions, of the loud stretches, and of the burnt-in caption
    of the last sentence. lost: ticks that services counted as left out meanwhile.
    """

    captions: list[tuple[float, float]]
    heard: list[tuple[float, float]]
    burnt: list[tuple[float, float]]
    lost: int

    def is_whole(self) -> bool:
        """Return whether the machine kept up: the sentences have their lengths, and nothing was left out."""
        lengths = [end - begin for begin, end in self.heard]
        said = [SECONDS_A_CHARACTER * len(text) for text in SENTENCES]
        return not self.lost and len(lengths) == len(said) and np.abs(np.subtract(lengths, said)).max() < 0.05

    def agrees(self) -> bool:
        """Return whether captions are where their sentences are heard."""
        return all(
            len(spans) == len(self.heard) and np.abs(np.subtract(spans, self.heard)).max() < 0.1
            for spans in (self.captions, self.burnt)
        )


def recorded_take(channel: Studio, tmp_path: Path) -> Take:
    """Record the sentences, with captions in a file and burnt in."""
    until_state(channel, "idle")
    before = left_out(channel)
    name = request(channel, "POST", "/channels/main/recording").json()["id"]
    wait_for(lambda: channel.state()["outputs"]["record"]["state"] == "live", what="recording")
    for text in SENTENCES:
        said = ask(channel, "", json={"text": text, "voice": "openai"}).json()["id"]
        wait_for(partial(_over, channel, said), what="said to its end")
    until_silent(channel)
    assert request(channel, "DELETE", "/channels/main/recording").status_code == 200
    wait_for(lambda: channel.state()["outputs"]["record"]["state"] == "off", what="the recording is closed")
    row = next(row for row in request(channel, "GET", "/recordings").json() if row["id"] == name)
    captions = request(channel, "GET", f"/recordings/{name}/captions")
    assert row["captions"] and captions.headers["content-type"].startswith("text/vtt")
    assert "\nThis goes &lt;first&gt;.\n" in captions.text and "\nAnd this &amp; that.\n" in captions.text
    path = tmp_path / f"{name}.mp4"
    path.write_bytes(request(channel, "GET", f"/recordings/{name}").content)
    burnt = captioned_spans(path, SENTENCES[-1])
    return Take(cue_times(captions.text), loud_spans(path), burnt, left_out(channel) - before)


def test_captions_of_a_recording_lie_within_100_ms_of_what_is_heard_in_it(channel: Studio, tmp_path: Path) -> None:
    scene = channel.patch(burn_captions=True, label=False).json()
    assert scene["burn_captions"] is True
    while not (take := recorded_take(channel, tmp_path)).agrees():
        assert len(take.captions) == len(SENTENCES)
        assert not take.is_whole(), take  # a busy machine left something out: record again
    channel.patch(burn_captions=False, label=True)


def captioned_spans(path: Path, text: str) -> list[tuple[float, float]]:
    """Return (start, end) in seconds of each stretch in which this text's caption area differs from the first frame."""
    found: list[tuple[float, float]] = []
    with av.open(str(path)) as container:
        frames = [(float(frame.time or 0), frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]
    step, (height, width) = frames[1][0] - frames[0][0], frames[0][1].shape
    x, y, w, h = caption_pages(text, width, height)[0].overlay.box
    levels = [float(grey[y : y + h, x + w // 3 : x + 2 * w // 3].mean()) for _, grey in frames]
    for (at, _), level in zip(frames, levels, strict=True):
        if abs(level - levels[0]) > 10:
            begin = found.pop()[0] if found and at - found[-1][1] < 1.5 * step else at
            found.append((begin, at + step))
    return found


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Browser"]:
    """A browser whose microphone plays a question one second after a page opens the microphone."""
    question = quiet_pcm(1) + spoken_pcm("Hello there, what is the weather like today?") + quiet_pcm(2)
    file = tmp_path_factory.mktemp("microphone") / "question.wav"
    file.write_bytes(wav(np.frombuffer(question, np.int16), MICROPHONE_RATE_HZ))
    with launched(file) as browser:
        yield browser


def opened(asking: "Browser", address: str) -> "Page":
    """Open a page with EYES_AND_EARS, ready for a conversation."""
    page = asking.new_context(viewport={"width": 1280, "height": 720}).new_page()
    page.set_default_timeout(ENDS_S * 1000)
    page.add_init_script(EYES_AND_EARS)
    page.goto(address)
    page.get_by_role("status").get_by_text(re.compile("^(.*ON AIR|Live)$")).wait_for()
    return page


def transcript(page: "Page") -> list[str]:
    return page.get_by_role("log", name="Transcript").get_by_role("listitem").all_inner_texts()


@needs_chromium
@pytest.mark.skipif(not ESPEAK, reason="espeak-ng is not installed")
def test_a_spoken_question_is_heard_and_seen_answered_in_a_browsers_tab(
    channel: Studio, talk: TalkServer, asking: "Browser"
) -> None:
    page = opened(asking, f"{channel.base}/#token={channel.token}")
    page.evaluate("([box, full]) => look(box, full)", [list(mouth_box(channel)), channel.state()["program"]["width"]])
    until(page, "still !== null")  # the program is shown, and its mouth is closed
    closed = page.evaluate("still")
    page.get_by_role("button", name="Talk", exact=True).click()
    until(page, "words.includes('Speaking') && words.at(-1) === 'Listening'")
    words = page.evaluate("words")
    assert words.index("Hearing you") < words.index("Speaking")
    loudest = page.evaluate("loudest")
    assert loudest["Hearing you"] == 0 and loudest["Speaking"] > 0.02
    wait_for(lambda: transcript(page) == [f"You\n{QUESTION}", f"Host\n{REPLY}"], what="the transcript")
    assert len(talk.turns) == 1 and talk.turns[0] > 2 * 2 * MICROPHONE_RATE_HZ, "all of the question"
    page.get_by_text(re.compile(r"Response time \d+ ms: end of speech \d+ ms, ")).wait_for()
    assert 2 * np.ptp(closed) < LEAST_MOVE
    for answers in range(2, MOST_ANSWERS):
        if np.median(closed) - min(page.evaluate("seen")) > LEAST_MOVE:
            break  # else: a busy machine may miss every movement of the mouth in one answer
        page.get_by_label("Question", exact=True).fill(QUESTION)
        page.get_by_role("button", name="Ask").click()
        until(page, f"words.filter((word) => word === 'Speaking').length >= {answers} && words.at(-1) === 'Listening'")
    else:
        raise AssertionError("the mouth does not open")
    page.context.close()


@needs_chromium
@pytest.mark.skipif(not ESPEAK, reason="espeak-ng is not installed")
def test_a_viewer_with_a_link_that_allows_it_is_answered(channel: Studio, talk: TalkServer, asking: "Browser") -> None:
    made = request(channel, "POST", "/channels/main/watch-links", json={"talk": True}).json()
    page = opened(asking, f"{channel.base}{made['url']}")
    page.get_by_role("button", name="Talk", exact=True).click()
    until(page, "words.includes('Hearing you')")
    page.get_by_role("button", name="Mute microphone").click()
    talk.reply = "Yes, viewers too."
    page.get_by_label("Question", exact=True).fill("May I ask something?")
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("log", name="Transcript").get_by_text(talk.reply).wait_for()
    until(page, "loudest.Speaking > 0.02")
    assert transcript(page)[-2:] == ["You\nMay I ask something?", f"Host\n{talk.reply}"]
    request(channel, "DELETE", f"/channels/main/watch-links/{made['id']}")
    page.get_by_role("status").get_by_text("withdrawn").first.wait_for()
    page.get_by_role("status", name="Conversation").get_by_text("Stopped").wait_for()
    page.context.close()
