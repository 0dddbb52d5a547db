"""A test server with OpenAI's transcription and chat APIs that can stream, stall, fail and answer late."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.speech_server import KEY, StandInServer
from shared.voices.espeak import EspeakVoice
from shared.voices.speech import spoken_sentence

QUESTION = "What is the weather like?"
REPLY = "It is warm and sunny today. There is not a cloud in the sky! Shall I tell you more?"
STALL_WORDS = 9  # words of a reply before the server stalls, breaks off or fails; more than the first sentence has
WAV_HEAD_BYTES = 44


class TalkServer(StandInServer):
    """Server that transcribes any sound as `question` and answers any chat with `reply`, one word at a time.

    ears: mode of the transcription: "write" (the normal one), "late" (when `release` is set), "refuse" (401), "fail"
    (500 with the key in its message), "json" (JSON without a transcript), "html", "break" (the connection closes in the
    middle), "endless", "empty" (no words).

    mouth: mode of the chat: "stream" (the normal one), "late", "stall" (in the second sentence, until `release` is
    set), "refuse", "fail", "html", "garbage" (an event that is not JSON first), "break", "error" (an error event in the
    stream), "whole" (not streamed), "endless", "empty", "thought" (reasoning before the reply), "cut" (the stream ends
    after STALL_WORDS without an end mark), "unmarked" (complete, with a finish reason but without an end mark).

    turns: bytes of sound in each transcription request; forms: its multipart body without the sound. asked: bodies of
    the chat requests, with "authorization".
    """

    def __init__(self) -> None:
        self.ears, self.mouth = "write", "stream"
        self.question, self.reply = QUESTION, REPLY
        self.turns: list[int] = []
        self.forms: list[bytes] = []
        self.asked: list[dict[str, Any]] = []
        super().__init__()

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        """Answer one request."""
        hears = request.path.endswith("/audio/transcriptions")
        mode = self.ears if hears else self.mouth
        if hears:
            begin = body.index(b"RIFF")
            self.turns.append(int.from_bytes(body[begin + 40 : begin + WAV_HEAD_BYTES], "little"))
            self.forms.append(body[:begin] + body[begin + WAV_HEAD_BYTES + self.turns[-1] :])
        else:
            self.asked.append(json.loads(body) | {"authorization": request.headers.get("authorization", "")})
        self.heard.set()
        if mode in ("refuse", "fail"):
            words = json.dumps({"error": {"message": f"the key {KEY} is of no use"}}).encode()
            self.send_whole(request, 401 if mode == "refuse" else 500, words)
            return
        if mode == "html":
            self.send_whole(request, 200, b"<!doctype html><title>Welcome</title>\n<p>It works!\n", "text/html")
            return
        if mode == "late":
            self.wait(request)
        if hears:
            self._write_down(request, mode)
        else:
            self._reply(request, mode)

    def _write_down(self, request: BaseHTTPRequestHandler, mode: str) -> None:
        text = json.dumps({"words": 1} if mode == "json" else {"text": "" if mode == "empty" else self.question})
        if mode in ("break", "endless"):
            self.begin_stream(request, "application/json")
            self.send_block(request, text[:5].encode())
            while mode == "endless":
                self.send_block(request, b" " * 4096)
            return
        self.send_whole(request, 200, text.encode())

    def _reply(self, request: BaseHTTPRequestHandler, mode: str) -> None:
        if mode == "whole":
            choice = {"message": {"role": "assistant", "content": self.reply}}
            self.send_whole(request, 200, json.dumps({"choices": [choice]}).encode())
            return
        self.begin_stream(request, "text/event-stream")
        if mode == "garbage":
            self.send_block(request, b"data: {]\n\n")
        reply = f"<think>Hm. I should be kind.\nAnd short.</think>\n{self.reply}" if mode == "thought" else self.reply
        words = reply.split(" ") if mode != "empty" else []
        self._say(request, role="assistant")
        for number, word in enumerate(words):
            if number == STALL_WORDS:
                if mode == "stall":
                    self.wait(request)
                elif mode == "cut":
                    self.send_block(request, b"")
                    return
                elif mode == "break":
                    self.send_block(request, b'data: {"choices": [{"del')
                    return
                elif mode == "error":
                    self.send_block(request, b'data: {"error": {"message": "out of memory"}}\n\n')
                    return
            self._say(request, content=word if number == 0 else f" {word}")
        while mode == "endless":
            self._say(request, content=" and so on")
        if mode == "unmarked":
            self.send_block(request, b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n')
        else:
            self.send_block(request, b"data: [DONE]\n\n")
        self.send_block(request, b"")

    def _say(self, request: BaseHTTPRequestHandler, **delta: str) -> None:
        event = {"id": "chat-1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]}
        self.send_block(request, f": ping\ndata: {json.dumps(event)}\n\n".encode())


@contextmanager
def talk_server() -> Iterator[TalkServer]:
    """Run a talk server while the context is open."""
    server = TalkServer()
    try:
        yield server
    finally:
        server.close()


def spoken_pcm(text: str) -> bytes:
    """Return a text spoken by espeak-ng in the format of a microphone: s16 mono at 16 kHz.

    Raises VoiceError when espeak-ng is not installed.
    """

    async def parts() -> list[NDArray[np.int16]]:
        async with aclosing(spoken_sentence(EspeakVoice(), text)) as spoken:
            return [part.samples async for part in spoken]

    sound = np.concatenate(asyncio.run(parts()))
    thirds = sound[: len(sound) // 3 * 3].reshape(-1, 3).mean(axis=1)  # from 48 kHz to 16 kHz
    return bytes(thirds.astype("<i2").tobytes())


def quiet_pcm(seconds: float) -> bytes:
    """Return the noise of a quiet room in the format of a microphone: s16 mono at 16 kHz."""
    noise = np.random.default_rng(1).normal(0, 10, round(seconds * 16_000))
    return noise.astype("<i2").tobytes()
