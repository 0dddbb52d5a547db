"""How soon a spoken question is answered, part by part, and how soon the host is silent when a person speaks.

A whole channel on this machine, with its own servers on loopback that answer immediately: what remains is the studio's
own time. Questions and interruptions are spoken by espeak-ng, which must be installed, and sent at the pace of a
microphone.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from harness.channel import Studio, sample_channel, wait_for
from harness.far_end import spread
from harness.speech_server import speech_server
from harness.talk_server import QUESTION, TalkServer, quiet_pcm, spoken_pcm, talk_server
from services.gateway.conversation.vad import BLOCK_BYTES, SPEECH_RATE_HZ, load_speech_share
from shared.wire.bus import Reader

TRIALS, INTERRUPTIONS = 8, 8
BLOCK_S = 0.04  # length of a microphone's message
LOUD = 300  # level from which on a sample of the program's sound is loud
SPOKEN = 1500  # level of the first and the last sample of a question that count as speech
LONGEST_S = 20.0
PARTS = ("vad_ms", "speech_to_text_ms", "chat_ms", "voice_ms", "total_ms")
SETTLED_S = 0.3  # silence of the program after which an earlier answer has ended
LONG_REPLY = "This goes on and on without any pause and gives you something to stop " * 6


def measure() -> dict[str, Any]:
    """Milliseconds.

    `parts`: as the studio reports them. `heard`: from the question's last sound to the program's first, measured from
    outside. `decided`: from an interruption's first sound until the studio knows that a person speaks; `silent`: from
    then until the program's last sound. `vad_block`: what 32 ms of sound cost the gateway.
    """
    with speech_server() as voice, talk_server() as server:
        told = {
            "STUDIO_VOICE": "openai",
            "STUDIO_VOICE_OPENAI_URL": voice.url,
            "STUDIO_CONVERSATION_SPEECH_TO_TEXT_URL": server.url,
            "STUDIO_CONVERSATION_CHAT_URL": server.url,
        }
        with sample_channel("--driver", "speech", environment=told) as (run, _):
            return {"vad_block": _block_cost()} | _questions(run) | _interruptions(run, server)


def _block_cost() -> dict[str, Any]:
    share, times = load_speech_share(), []
    sound = spoken_pcm(QUESTION)
    for at in range(0, len(sound) - BLOCK_BYTES, BLOCK_BYTES):
        begun = time.perf_counter()
        share(sound[at : at + BLOCK_BYTES])
        times.append(1000 * (time.perf_counter() - begun))
    return {"median": round(float(np.median(times)), 3), "p95": round(float(np.percentile(times, 95)), 3)}


def _questions(run: Studio) -> dict[str, Any]:
    parts: dict[str, list[float]] = {name: [] for name in PARTS}
    heard = []
    question, quiet = spoken_pcm(QUESTION), quiet_pcm(LONGEST_S)
    last = np.flatnonzero(np.abs(np.frombuffer(question, np.int16)) > SPOKEN)[-1] / SPEECH_RATE_HZ
    for trial in range(TRIALS + 1):
        with _socket(run) as socket:
            page = _Page(run, socket)
            page.settle()
            begun = page.speak(question + quiet, page.is_answered)
            told, first = page.latency, page.loud[0]
            socket.send('{"type": "interrupt"}')
            page.close()
        wait_for(lambda: not run.state()["speech"]["queue"], 30, "silent again")
        if trial and told is not None:  # left out: the first one imports and connects
            heard.append(1000 * (first - begun - last))
            for name in PARTS:
                parts[name].append(told[name])
    return {"parts": {name: spread(values) for name, values in parts.items()}, "heard": spread(heard)}


def _interruptions(run: Studio, server: TalkServer) -> dict[str, Any]:
    decided, silent = [], []
    question, server.reply = spoken_pcm(QUESTION), LONG_REPLY
    first = np.flatnonzero(np.abs(np.frombuffer(question, np.int16)) > SPOKEN)[0] / SPEECH_RATE_HZ
    for _ in range(INTERRUPTIONS):
        with _socket(run) as socket:
            page = _Page(run, socket)
            socket.send(json.dumps({"type": "text", "text": "Tell me a story."}))
            wait_for(page.hears_the_host, LONGEST_S, "the host speaks")
            begun = page.speak(question, page.is_heard)
            page.speak(quiet_pcm(0.5), lambda: False)
            known = page.states["hearing"]
            decided.append(1000 * (known - begun - first))
            silent.append(1000 * (max(page.loud) - known))
            socket.send('{"type": "interrupt"}')
            page.close()
        wait_for(lambda: not run.state()["speech"]["queue"], 30, "silent again")
    return {"decided": spread(decided), "silent": spread(silent)}


def _socket(run: Studio) -> ClientConnection:
    address = f"{run.base.replace('http', 'ws', 1)}/api/v1/channels/main/conversation"
    deadline = time.monotonic() + LONGEST_S
    while True:
        socket = connect(address, compression=None)
        socket.send(json.dumps({"token": run.token}))
        try:
            socket.recv(5)
            return socket
        except ConnectionClosed:  # the previous socket is not closed yet
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


class _Page:
    """A stand-in for a page: sends microphone sound and listens to the program.

    latency: as the studio reported it. states: monotonic time in seconds at which each state was last reported. loud:
    time at which each loud block of the program arrived.
    """

    def __init__(self, run: Studio, socket: ClientConnection) -> None:
        self.latency: dict[str, float] | None = None
        self.states: dict[str, float] = {}
        self.loud: list[float] = []
        self._socket = socket
        self._reader: Reader = run.read("sound")
        self._reader.read()

    def settle(self) -> None:
        """Wait until the program has been silent for SETTLED_S, and forget the sound before."""
        begun = time.monotonic()
        while time.monotonic() < max([begun, *self.loud[-1:]]) + SETTLED_S:
            self.look()
        self.loud.clear()

    def speak(self, pcm: bytes, enough: Callable[[], bool]) -> float:
        """Send sound in real time until it ends or `enough` is true; return the monotonic time of its first sample."""
        begun, step = time.monotonic(), 2 * round(BLOCK_S * SPEECH_RATE_HZ)
        for number, at in enumerate(range(0, len(pcm), step)):
            while time.monotonic() < begun + (number + 1) * BLOCK_S:  # a block is sent when its last sample was spoken
                self.look()
            self._socket.send(pcm[at : at + step])
            if enough():
                break
        return begun

    def look(self) -> None:
        """Read one message, waiting two milliseconds at most, and the program's new sound."""
        try:
            message = json.loads(self._socket.recv(0.002))
            if message["type"] == "latency":
                self.latency = message
            elif message["type"] == "state":
                self.states[message["state"]] = time.monotonic()
        except TimeoutError:
            pass
        at = time.monotonic()
        self.loud += [at for each in self._reader.read() if np.abs(each.array).max(initial=0) > LOUD]

    def is_answered(self) -> bool:
        return self.latency is not None and bool(self.loud)

    def is_heard(self) -> bool:
        return "hearing" in self.states

    def hears_the_host(self) -> bool:
        self.look()
        return len(self.loud) > 25

    def close(self) -> None:
        self._reader.close()
