"""Speech on a whole channel: said and seen, answering a question, silenced at once, beside a stalled generator."""

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import av
import httpx
import numpy as np
import pytest

from compositing.caption import caption_pages
from harness.channel import Studio, studio, wait_for
from harness.far_end import mouth_box, vowel
from harness.speech_server import KEY, speech_server
from harness.talk_server import QUESTION, REPLY, TalkServer, quiet_pcm, spoken_pcm, talk_server
from shared.wire.message import Message
from tests.support.browser.chromium import launched, needs_chromium, until
from tests.support.files.sound_files import wav

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LOUD = 1500
MICROPHONE_RATE_HZ = 16_000
ESPEAK = shutil.which("espeak-ng")
LEAST_MOVE = 8  # of the mouth's mean brightness when it opens; a waiting face has less than 3
# `loudness()` is that of what the page plays, `look(box, width)` notes how bright a part of the program is in `seen`.
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
    window.loudness = () => {
        const wave = new Float32Array(2048);
        ear?.getFloatTimeDomainData(wave);
        return Math.hypot(...wave) / Math.sqrt(2048);
    };
    window.seen = [];
    window.look = ([x, y, w, h], full) => {
        const program = document.querySelector("#program"), small = new OffscreenCanvas(w, h);
        const draw = small.getContext("2d", { willReadFrequently: true });
        setInterval(() => {
            const scale = program.width / full;
            draw.drawImage(program, x * scale, y * scale, w * scale, h * scale, 0, 0, w, h);
            const bytes = draw.getImageData(0, 0, w, h).data;
            window.seen.push(bytes.reduce((sum, value, i) => (i % 4 === 1 ? sum + value : sum), 0) / (w * h));
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
    return httpx.request(method, address, headers=headers, timeout=10, trust_env=False, **more)  # type: ignore[arg-type]


def ask(channel: Studio, path: str, **more: object) -> httpx.Response:
    return request(channel, "POST", f"/channels/main/speech{path}", **more)


def say(channel: Studio, seconds: float) -> None:
    assert ask(channel, "", files={"audio": ("a.wav", wav(vowel(seconds)))}).status_code == 201


def _is_over(channel: Studio, utterance: str) -> bool:
    return any(row["id"] == utterance for row in channel.state()["speech"]["recent"])


def loud(messages: list[tuple[float, Message]]) -> list[bool]:
    """Whether each tick's sound is loud."""
    return [bool(np.abs(message.array).max(initial=0) > LOUD) for _, message in messages]


def test_it_waits_on_air_and_speaks_with_its_mouth(channel: Studio) -> None:
    wait_for(lambda: {m.facts["state"] for _, m in channel.collect_messages("program", 0.4)} == {"idle"}, 15, "waiting")
    assert channel.state()["on_air_state"] == "ON AIR"
    say(channel, 1.5)
    seen: set[str] = set()

    def over() -> bool:
        seen.update(message.facts["state"] for _, message in channel.collect_messages("program", 0.3))
        return bool(channel.state()["speech"]["recent"])

    wait_for(over, 30, "said to its end")
    assert "live" in seen
    wait_for(
        lambda: {m.facts["state"] for _, m in channel.collect_messages("program", 0.4)} == {"idle"}, 15, "calm again"
    )
    assert channel.state()["speech"]["recent"][0]["state"] == "ended"


def test_an_interrupt_is_silence_in_the_program(channel: Studio) -> None:
    for pause in (0.0, 0.017, 0.033):
        say(channel, 20)
        wait_for(lambda: any(loud(channel.collect_messages("sound", 0.2))), 10, "speaking")
        time.sleep(pause)
        reader = channel.read("sound")
        assert ask(channel, "/interrupt").json()["interrupted"]
        answered = time.monotonic()
        heard: list[tuple[float, Message]] = []
        while time.monotonic() < answered + 1.0:
            heard += [(time.monotonic(), message) for message in reader.read()]
            time.sleep(0.005)
        reader.close()
        late = [at - answered for (at, _), yes in zip(heard, loud(heard), strict=True) if yes]
        # A block is 40 ms and there are two hops; a busy machine is given time.
        assert max(late, default=0) < 0.4
        assert len(heard) > 15 and not any(loud(heard[-10:]))


def test_a_generator_that_stalls_leaves_the_sound_alone(channel: Studio) -> None:
    say(channel, 30)
    wait_for(
        lambda: {m.facts["state"] for _, m in channel.collect_messages("program", 0.2)} == {"live"}, 10, "speaking"
    )
    behind = distance(channel)
    generator = channel.pids()["generator"]
    os.kill(generator, signal.SIGSTOP)
    try:
        time.sleep(1.0)
        stalled = channel.collect_messages("sound", 2.0)
        assert {m.facts["state"] for _, m in channel.collect_messages("program", 0.4)} == {"plate"}
    finally:
        os.kill(generator, signal.SIGCONT)
    assert len(stalled) > 40 and all(loud(stalled))
    wait_for(
        lambda: {m.facts["state"] for _, m in channel.collect_messages("program", 0.3)} == {"live"}, 10, "driven again"
    )
    assert distance(channel) < behind + 100_000  # nothing is made up for: at most the machine has become slower
    ask(channel, "/interrupt")


def distance(channel: Studio) -> float:
    """Microseconds by which the face is behind the voice it speaks, once the sound is as late."""

    def agreed() -> float | None:
        frames = [m for _, m in channel.collect_messages("program", 0.6) if m.facts["captured"]]
        behind = float(np.median([m.pts - m.facts["captured"] for m in frames]))
        return behind if abs(channel.state()["program"]["voice_delay_ms"] * 1000 - behind) < 20_000 else None

    return float(wait_for(agreed, 20, "sound waits for the face"))


def cue_times(webvtt: str) -> list[tuple[float, float]]:
    """(start, end) of each cue of less than an hour, in seconds."""
    found = re.findall(r"^00:(\d\d):([\d.]+) --> 00:(\d\d):([\d.]+)$", webvtt, re.MULTILINE)
    return [(60 * int(m) + float(s), 60 * int(n) + float(t)) for m, s, n, t in found]


def loud_spans(path: Path) -> list[tuple[float, float]]:
    """(start, end) of each stretch of a file that is loud, in seconds; shorter silences than 100 ms are part of it."""
    found: list[tuple[float, float]] = []
    with av.open(str(path)) as container:
        for block in container.decode(audio=0):
            assert block.time is not None
            heard = np.flatnonzero(np.abs(block.to_ndarray()[0]) > LOUD / 32768) / block.sample_rate + block.time
            for at in (float(heard[0]), float(heard[-1])) if len(heard) else ():
                begin = found.pop()[0] if found and at - found[-1][1] < 0.1 else at
                found.append((begin, at))
    return found


def test_captions_of_a_recording_lie_within_100_ms_of_what_is_heard_in_it(channel: Studio, tmp_path: Path) -> None:
    wait_for(lambda: {m.facts["state"] for _, m in channel.collect_messages("program", 0.4)} == {"idle"}, 15, "waiting")
    scene = channel.patch(burn_captions=True, label=False).json()
    assert scene["burn_captions"] is True
    name = request(channel, "POST", "/channels/main/recording").json()["id"]
    wait_for(lambda: channel.state()["outputs"]["record"]["state"] == "live", 15, "recording")
    for text in ("This goes <first>.", "And this & that."):
        said = ask(channel, "", json={"text": text, "voice": "openai"}).json()["id"]
        wait_for(partial(_is_over, channel, said), 30, "said to its end")
    wait_for(lambda: not any(loud(channel.collect_messages("sound", 0.3))), 10, "silence")
    assert request(channel, "DELETE", "/channels/main/recording").status_code == 200
    wait_for(lambda: channel.state()["outputs"]["record"]["state"] == "off", 15, "the recording is closed")
    row = next(row for row in request(channel, "GET", "/recordings").json() if row["id"] == name)
    captions = request(channel, "GET", f"/recordings/{name}/captions")
    assert row["captions"] and captions.headers["content-type"].startswith("text/vtt")
    assert "\nThis goes &lt;first&gt;.\n" in captions.text and "\nAnd this &amp; that.\n" in captions.text
    path = tmp_path / "recording.mp4"
    path.write_bytes(request(channel, "GET", f"/recordings/{name}").content)
    found, heard = cue_times(captions.text), loud_spans(path)
    assert len(found) == 2 and np.abs(np.subtract(found, heard)).max() < 0.1, (found, heard)
    burnt = captioned_spans(path, "And this & that.")
    assert len(burnt) == 2 and np.abs(np.subtract(burnt, heard)).max() < 0.1, (burnt, heard)
    channel.patch(burn_captions=False, label=True)


def captioned_spans(path: Path, text: str) -> list[tuple[float, float]]:
    """(start, end) of each stretch of a film in which the middle of where this text is burnt in differs, in seconds."""
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
    """A browser into whose microphone a question is spoken, a second after a page opens it."""
    question = quiet_pcm(1) + spoken_pcm("Hello there, what is the weather like today?") + quiet_pcm(2)
    file = tmp_path_factory.mktemp("microphone") / "question.wav"
    file.write_bytes(wav(np.frombuffer(question, np.int16), MICROPHONE_RATE_HZ))
    with launched(file) as browser:
        yield browser


def opened(asking: "Browser", address: str) -> "Page":
    """A page with EYES_AND_EARS, whose conversation has begun."""
    page = asking.new_context(viewport={"width": 1280, "height": 720}).new_page()
    page.add_init_script(EYES_AND_EARS)
    page.goto(address)
    page.get_by_role("status").get_by_text(re.compile("^(.*ON AIR|Live)$")).wait_for()
    page.wait_for_timeout(500)
    page.get_by_role("button", name="Talk", exact=True).click()
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
    word = page.get_by_role("status", name="Conversation")
    word.get_by_text("Hearing you").wait_for()
    assert page.evaluate("loudness()") == 0
    closed = page.evaluate("seen")
    word.get_by_text("Speaking").wait_for()
    until(page, "loudness() > 0.02")
    word.get_by_text("Listening").wait_for()
    assert transcript(page) == [f"You\n{QUESTION}", f"Host\n{REPLY}"]
    assert len(talk.turns) == 1 and talk.turns[0] > 2 * 2 * MICROPHONE_RATE_HZ, "all of the question"
    page.get_by_text(re.compile(r"Response time \d+ ms: end of speech \d+ ms, ")).wait_for()
    opening = float(np.median(closed) - min(page.evaluate("seen")))
    assert opening > LEAST_MOVE > 2 * np.ptp(closed), (opening, np.ptp(closed))
    page.context.close()


@needs_chromium
@pytest.mark.skipif(not ESPEAK, reason="espeak-ng is not installed")
def test_a_viewer_with_a_link_that_allows_it_is_answered(channel: Studio, talk: TalkServer, asking: "Browser") -> None:
    made = request(channel, "POST", "/channels/main/watch-links", json={"talk": True}).json()
    page = opened(asking, f"{channel.base}{made['url']}")
    page.get_by_role("status", name="Conversation").get_by_text("Hearing you").wait_for()
    page.get_by_role("button", name="Mute microphone").click()
    talk.reply = "Yes, viewers too."
    page.get_by_label("Question", exact=True).fill("May I ask something?")
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("log", name="Transcript").get_by_text(talk.reply).wait_for()
    until(page, "loudness() > 0.02")
    assert transcript(page)[-2:] == ["You\nMay I ask something?", f"Host\n{talk.reply}"]
    request(channel, "DELETE", f"/channels/main/watch-links/{made['id']}")
    page.get_by_role("status").get_by_text("withdrawn").first.wait_for()
    page.get_by_role("status", name="Conversation").get_by_text("Stopped").wait_for()
    page.context.close()
