"""The speech queue plays what it receives completely, in order and in time, and stops on request."""

import asyncio
import io
import json
import time
from collections.abc import Iterator
from typing import Any, cast

import av
import httpx
import numpy as np
import pytest
import zmq
from av.audio.stream import AudioStream
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from harness.channel import PATIENCE_S
from services.gateway.channel.event_log import EventLog
from services.gateway.channel.speech_queue import AHEAD_US, SpeechQueue
from shared.media.array_types import AudioSamples
from shared.media.pcm import PcmDecoder
from shared.runtime.clock import SOUND_RATE_HZ, US, now
from shared.wire.bus import Reader, endpoint
from shared.wire.message import Message
from tests.support.browser.viewer import open_socket
from tests.support.files.sound_files import tone, wav
from tests.support.running.gateway import GatewayStudio

LONG_S = 600.0  # longer than any step that a test takes while it is spoken


class SpeechCapture:
    """Receives in place of capture what the gateway sends."""

    def __init__(self, running: GatewayStudio) -> None:
        self._running = running
        self._context: zmq.Context[Any] = zmq.Context()
        run_dir = running.settings.run_dir
        self._reader = Reader(self._context, endpoint(run_dir, "remote"), "remote", "main", newest=False)
        self.heard: list[Message] = []

    def connect(self) -> None:
        """Wait until the gateway's messages arrive here."""
        self._running.patch(driver="browser")
        with open_socket(self._running, "driver") as page:

            def is_heard() -> bool:
                page.send(b"\x02" + bytes(960))
                return bool(self.listen())

            self._running.wait(is_heard)
            page.send(b"\x02" + bytes(2))  # one sample, which marks the last message
            self._running.wait(lambda: len(self.listen()[-1].array) == 1)
        self.heard.clear()
        self._running.patch(driver="speech")

    def listen(self) -> list[Message]:
        self.heard += self._reader.read()
        return self.heard

    def sounds(self) -> list[Message]:
        return [message for message in self.listen() if message.facts["kind"] == "sound"]

    def voice(self) -> AudioSamples:
        return np.concatenate([message.array for message in self.sounds()] or [np.zeros(0, np.int16)])

    def forget(self) -> None:
        self.listen()
        self.heard.clear()

    def close(self) -> None:
        self._reader.close()
        self._context.term()


@pytest.fixture
def capture(running: GatewayStudio) -> Iterator[SpeechCapture]:
    made = SpeechCapture(running)
    try:
        made.connect()
        yield made
    finally:
        running.http.post("/channels/main/speech/interrupt")
        running.patch(driver="sample")
        made.close()


def say(running: GatewayStudio, data: bytes, title: str = "", name: str = "speech.wav") -> httpx.Response:
    form = {"title": title} if title else {}
    return running.http.post("/channels/main/speech", files={"audio": (name, data)}, data=form)


def states(running: GatewayStudio) -> dict[str, str]:
    facts = running.http.get("/channels/main/speech").json()
    return {each["title"]: each["state"] for each in [*facts["queue"], *facts["recent"]]}


def test_a_file_is_spoken_whole_and_makes_speech_the_driver(running: GatewayStudio, capture: SpeechCapture) -> None:
    running.patch(driver="sample")
    sound = tone(1.5)
    answer = say(running, wav(sound), "Good morning")
    assert answer.status_code == 201 and answer.json()["state"] == "queued"
    assert running.state()["scene"]["driver"] == "speech"
    running.wait(lambda: len(capture.voice()) >= len(sound))
    assert np.array_equal(capture.voice(), sound)
    running.wait(lambda: states(running)["Good morning"] == "ended")
    assert any("Speaking Good morning" in entry["text"] for entry in running.state()["log"])


@pytest.mark.parametrize(("name", "codec"), [("a.mp3", "libmp3lame"), ("a.ogg", "libopus")])
def test_compressed_files_are_said_too(running: GatewayStudio, capture: SpeechCapture, name: str, codec: str) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format=name[2:]) as container:
        stream = cast(AudioStream, container.add_stream(codec, rate=SOUND_RATE_HZ, layout="mono"))
        frame = av.AudioFrame.from_ndarray(tone(1.5)[None], format="s16", layout="mono")
        frame.sample_rate = SOUND_RATE_HZ
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert say(running, file.getvalue(), codec, name).status_code == 201
    running.wait(lambda: len(capture.voice()) > 1.45 * SOUND_RATE_HZ)
    running.wait(lambda: states(running)[codec] == "ended")
    said = capture.voice()
    assert len(said) < 1.6 * SOUND_RATE_HZ
    spectrum = np.abs(np.fft.rfft(said * np.hanning(len(said))))
    assert abs(spectrum.argmax() * SOUND_RATE_HZ / len(said) - 440) < 3


def test_utterances_follow_each_other(running: GatewayStudio, capture: SpeechCapture) -> None:
    first, second = tone(0.5), tone(0.5, 880)
    say(running, wav(first), "one")
    say(running, wav(second), "two")
    running.wait(lambda: len(capture.voice()) >= len(first) + len(second))
    assert np.array_equal(capture.voice(), np.concatenate([first, second]))
    running.wait(lambda: states(running)["two"] == "ended")


def test_between_two_utterances_is_no_gap() -> None:
    """Two utterances follow each other without a gap, on a driven clock with a pump every 10 ms."""
    said: list[tuple[int, AudioSamples]] = []
    at = now()
    speech = SpeechQueue(EventLog(), lambda pts, samples: said.append((pts, samples)), said.clear, lambda: 40_000)
    sounds = tone(0.51), tone(0.5, 880)

    async def scenario() -> None:
        nonlocal at
        for sound in sounds:
            utterance = speech.add("a")
            await utterance.write(sound)
            utterance.finish()
        while speech.queue:
            speech.pump(at)
            at += 10_000

    asyncio.run(scenario())
    assert np.array_equal(np.concatenate([samples for _, samples in said]), np.concatenate(sounds))
    ends = [pts + len(samples) * US // SOUND_RATE_HZ for pts, samples in said]
    assert [pts for pts, _ in said[1:]] == ends[:-1]


def test_an_interrupt_ends_everything_at_once(running: GatewayStudio, capture: SpeechCapture) -> None:
    for title in ("long", "waiting"):
        say(running, wav(tone(LONG_S, rate=8000), 8000), title)
    running.wait(lambda: states(running)["long"] == "started" and capture.sounds())
    epoch = capture.sounds()[-1].epoch
    answer = running.http.post("/channels/main/speech/interrupt")
    assert len(answer.json()["interrupted"]) == 2
    running.wait(lambda: capture.listen()[-1].facts["kind"] == "end")
    assert capture.listen()[-1].epoch != epoch  # blocks in flight are void
    capture.forget()
    time.sleep(0.5)
    assert not capture.listen()
    assert states(running)["long"] == states(running)["waiting"] == "interrupted"


def test_clear_lets_the_sentence_end_and_each_block_leaves_just_ahead_of_its_time() -> None:
    """The current utterance plays to its end, in blocks sent just ahead of time; a driven clock pumps every 10 ms."""
    said: list[AudioSamples] = []
    ahead: list[int] = []
    at = now()

    def send(pts: int, samples: AudioSamples) -> None:
        said.append(samples)
        ahead.append(pts - at)

    speech = SpeechQueue(EventLog(), send, said.clear, lambda: 40_000)
    sound = tone(1.2)

    async def scenario() -> None:
        nonlocal at
        this, that = speech.add("this"), speech.add("that")
        for utterance, samples in ((this, sound), (that, tone(1))):
            await utterance.write(samples)
            utterance.finish()
        while this.state == "queued":
            speech.pump(at)
            at += 10_000
        assert speech.clear() == [that.id] and that.state == "interrupted"
        while this.state == "started":
            speech.pump(at)
            at += 10_000
        assert this.state == "ended" and not speech.queue

    asyncio.run(scenario())
    assert np.array_equal(np.concatenate(said), sound)
    assert min(ahead) > 0 and max(ahead) <= AHEAD_US


def test_one_that_is_dropped_takes_nothing_from_the_next(running: GatewayStudio, capture: SpeechCapture) -> None:
    following = tone(0.6, 700)
    gone = say(running, wav(tone(LONG_S, rate=8000), 8000), "gone").json()["id"]
    say(running, wav(following), "next")
    running.wait(lambda: states(running)["gone"] == "started")
    assert running.http.delete(f"/channels/main/speech/{gone}").status_code == 204
    running.wait(lambda: states(running)["next"] == "ended")

    def newest() -> AudioSamples:
        epoch = capture.sounds()[-1].epoch
        return np.concatenate([message.array for message in capture.sounds() if message.epoch == epoch])

    running.wait(lambda: np.array_equal(newest()[-len(following) :], following))
    assert running.http.delete(f"/channels/main/speech/{gone}").status_code == 404


def test_an_utterance_that_had_begun_to_leave_starts_over() -> None:
    said: list[AudioSamples] = []
    speech = SpeechQueue(EventLog(), lambda _, samples: said.append(samples), said.clear, lambda: 0)
    following = tone(0.6, 700)

    async def scenario() -> None:
        gone, after = speech.add("gone"), speech.add("next")
        for utterance, sound in ((gone, tone(0.06)), (after, following)):
            await utterance.write(sound)
            utterance.finish()
        at = now()
        speech.pump(at)
        assert after.first is not None and after.state == "queued"  # sent, but not heard yet
        assert speech.cancel(gone.id)
        for step in range(100):
            speech.pump(at + step * 10_000)
        assert after.state == "ended"

    asyncio.run(scenario())
    assert np.array_equal(np.concatenate(said), following)


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("layout", ["s16", "f32"])
def test_pcm_of_every_rate_keeps_pitch_and_length(rate: int, layout: str) -> None:
    sound = tone(1, 1000, rate)
    data = sound.tobytes() if layout == "s16" else (sound / np.float32(32767)).astype("<f4").tobytes()
    decoder, parts, at = PcmDecoder(rate, "s16" if layout == "s16" else "f32"), [], 0
    for size in np.random.default_rng(3).integers(1, 4001, 1000):
        parts.append(decoder.feed(data[at : at + size]))
        at += size
    whole = np.concatenate([*parts, decoder.flush()]).astype(np.float64)
    assert abs(len(whole) - SOUND_RATE_HZ) < 100
    spectrum = np.abs(np.fft.rfft(whole * np.hanning(len(whole))))
    assert abs(spectrum.argmax() * SOUND_RATE_HZ / len(whole) - 1000) < 2
    assert 8500 < np.abs(whole[2000:-2000]).max() < 9500


def test_pcm_that_is_no_number_is_silence() -> None:
    wild = np.array([np.nan, np.inf, -np.inf, 5, -5, 0.5], "<f4")
    assert PcmDecoder(SOUND_RATE_HZ, "f32").feed(wild.tobytes()).tolist() == [0, 32767, -32767, 32767, -32767, 16383]


def begin(connection: ClientConnection, running: GatewayStudio, **more: Any) -> None:
    connection.send(json.dumps({"token": running.token, "rate": SOUND_RATE_HZ, "format": "s16", **more}))
    assert json.loads(connection.recv(PATIENCE_S)) == {"event": "ready"}


def speech_socket(running: GatewayStudio) -> Any:
    from websockets.sync.client import connect

    address = f"ws://{running.address}/api/v1/channels/main/speech"
    return connect(address, compression=None, open_timeout=PATIENCE_S)


def test_a_file_sent_as_pcm_closes_the_socket_with_a_sentence(running: GatewayStudio, capture: SpeechCapture) -> None:
    from websockets.exceptions import ConnectionClosed

    with speech_socket(running) as connection:
        begin(connection, running)
        connection.send(wav(tone(0.5)))
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(PATIENCE_S)
    assert closed.value.rcvd is not None and closed.value.rcvd.reason.startswith("This is WAV")


def test_live_pcm_tells_its_events(running: GatewayStudio, capture: SpeechCapture) -> None:
    sound = tone(0.6)
    with speech_socket(running) as connection:
        begin(connection, running, title="agent")
        for at in range(0, len(sound), 960):
            connection.send(sound[at : at + 960].tobytes())
            time.sleep(0.02)
        connection.send('{"do": "end"}')
        events = [json.loads(connection.recv(PATIENCE_S)) for _ in range(3)]
        assert [event["event"] for event in events] == ["queued", "started", "ended"]
        running.wait(lambda: len(capture.voice()) >= len(sound))
        assert np.array_equal(capture.voice(), sound)
        connection.send(sound.tobytes())
        assert json.loads(connection.recv(PATIENCE_S))["event"] == "queued"
        connection.send('{"do": "interrupt"}')
        while (event := json.loads(connection.recv(PATIENCE_S)))["event"] != "interrupted":
            assert event["event"] == "started"


def test_a_sender_far_ahead_is_held_back(running: GatewayStudio, capture: SpeechCapture) -> None:
    block = bytes(2 * SOUND_RATE_HZ)  # one second
    sent = 0
    with speech_socket(running) as connection:
        begin(connection, running, title="flood")
        connection.socket.settimeout(1.0)
        try:
            for _ in range(600):
                connection.socket.sendall(_frame(block))
                sent += 1
        except TimeoutError:
            pass
        assert sent < 200
        (flood,) = running.wait(lambda: running.http.get("/channels/main/speech").json()["queue"])
        assert flood["seconds"] < 60
        assert running.http.post("/channels/main/speech/interrupt").json()["interrupted"]


def _frame(payload: bytes) -> bytes:
    """Return a masked binary WebSocket frame: the library's own `send` would wait for a reader without a timeout."""
    return bytes([0x82, 0x80 | 127]) + len(payload).to_bytes(8, "big") + bytes(4) + payload


def test_what_cannot_be_said_is_refused_in_a_sentence(running: GatewayStudio, capture: SpeechCapture) -> None:
    for data in (b"", b"this is no sound", wav(tone(0.1))[:30], wav(np.zeros(0, np.int16))):
        answer = say(running, data, name="mine.wav")
        assert answer.status_code == 422 and answer.json()["detail"].count(".") >= 1, answer.text
        assert "/" not in answer.json()["detail"]
    assert running.http.post("/channels/main/speech", files={"video": b"x"}).status_code == 422
    for index in range(64):
        assert say(running, wav(tone(0.2 if index else LONG_S, rate=8000), 8000), f"n{index}").status_code == 201
    assert say(running, wav(tone(0.2)), "one too many").status_code == 429


@pytest.mark.parametrize(
    "words",
    [
        {"rate": 1},
        {"rate": 48_000, "format": "mp3"},
        {"rate": 48_000, "channels": 9},
        {"rate": "fast"},
        {"rate": 48_000, "x": 1},
    ],
)
def test_a_socket_that_opens_wrongly_gets_the_reason(running: GatewayStudio, words: dict[str, Any]) -> None:
    with speech_socket(running) as connection:
        connection.send(json.dumps({"token": running.token, **words}))
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(PATIENCE_S)
    assert closed.value.rcvd and closed.value.rcvd.code == 4400 and "'" in closed.value.rcvd.reason


def test_another_driver_ends_the_speech(running: GatewayStudio, capture: SpeechCapture) -> None:
    say(running, wav(tone(LONG_S, rate=8000), 8000), "cut off")
    running.wait(lambda: states(running)["cut off"] == "started")
    running.patch(driver="sample")
    running.wait(lambda: states(running)["cut off"] == "interrupted")


def test_the_microphone_is_a_driver_of_its_own(running: GatewayStudio, capture: SpeechCapture) -> None:
    running.patch(driver="microphone")
    with open_socket(running, "driver") as connection:

        def heard() -> bool:
            connection.send(b"\x02" + tone(0.02).tobytes())
            return bool(capture.sounds())

        running.wait(heard)
        running.wait(lambda: "microphone is the driver" in json.dumps(running.state()["log"]))
