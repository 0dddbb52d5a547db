"""Attack by odd talkers and chat lines on a channel whose servers stream, stall, break off and answer nonsense."""

import json
import time
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from benchmarks.attack.row import AttackRow, beside
from harness.channel import Studio, studio
from harness.speech_server import KEY, speech_server
from harness.talk_server import TalkServer, talk_server

SEED = 22
EARS = ("write", "late", "refuse", "fail", "json", "html", "break", "endless", "empty")
MOUTHS = (
    "stream",
    "late",
    "stall",
    "cut",
    "refuse",
    "fail",
    "html",
    "garbage",
    "break",
    "error",
    "whole",
    "endless",
    "empty",
    "thought",
)
WORDS: list[str] = [
    "", "[" * 2000, "null", '{"type": "text"}', '{"type": "text", "text": "\\ud800\\u202e\\u0000"}',
    '{"type": "mute", "muted": 2}', '{"type": "mute", "muted": true}', '{"type": "mute", "muted": false}',
    '{"type": "interrupt"}', "x" * 20_000,
    json.dumps({"type": "text", "text": "x" * 2000}), json.dumps({"type": "text", "text": "Hello there. " * 100}),
]  # fmt: skip
TOKENS = ["", "guessed", "\0", "A" * 3000, "a.b.c"]
LINES: list[Any] = [
    {"text": "Hi!"}, {"author": "A\nB", "text": "\x1b[2J Hi"}, {"text": ""}, {"text": 5}, ["x"], {"text": "x" * 3000},
    {"author": "x" * 100, "text": "y"},
]  # fmt: skip
ANSWERS = (202, 409, 422, 429)
ENDS = (1000, 4400, 4401, 4408, 4409, 4412)
LAST_ANSWER_S = 60.0  # for a server that answers late


def talkers(home: Path, folder: Path, count: int) -> AttackRow:
    """Send `count` odd messages and chat lines, over both sockets; then ask the host a question.

    Counted as lost: an unexpected status or no answer to a chat line, a socket that does not open, and a last question
    without an answer. Noted as wrong: a socket that ends without a reason, and a key in the state or in the log.
    """
    row, generator = AttackRow("odd talkers and odd servers"), np.random.default_rng(SEED)
    with speech_server() as voice, talk_server() as server:
        told = {"STUDIO_VOICE": "openai", "STUDIO_VOICE_OPENAI_URL": voice.url}
        for of in ("SPEECH_TO_TEXT", "CHAT"):
            told |= {f"STUDIO_CONVERSATION_{of}_URL": server.url, f"STUDIO_CONVERSATION_{of}_KEY": KEY}
        with studio(home, folder / "run-talk", "--port", "0", "--driver", "speech", environment=told) as run:
            run.on_air()
            with httpx2.Client(headers=run._auth, timeout=30, trust_env=False) as http, beside(run, row):
                while row.tried < count:
                    server.ears = EARS[int(generator.integers(len(EARS)))]
                    server.mouth = MOUTHS[int(generator.integers(len(MOUTHS)))]
                    _talk(run, row, generator)
                    _send_line(run, row, http, LINES[int(generator.integers(len(LINES)))])
                server.release.set()
                server.ears, server.mouth = "write", "stream"
                _check_answer(run, row, server)
                if KEY in str(run.state()):
                    row.wrong("the key stands in the state")
            if KEY in run.log.read_text(encoding="utf-8").replace(f"the key {KEY} is of no use", ""):
                row.wrong("the key stands in the log")
            run.end()
    return row


def _address(run: Studio, path: str) -> str:
    return f"{run.base.replace('http', 'ws', 1)}/api/v1/channels/main/{path}"


def _talk(run: Studio, row: AttackRow, generator: np.random.Generator) -> None:
    """Open one socket and send up to 150 messages."""
    path = ("conversation", "conversation", "watch/conversation")[int(generator.integers(3))]
    token = run.token if generator.random() < 0.7 else TOKENS[int(generator.integers(len(TOKENS)))]
    try:
        with connect(_address(run, path), compression=None, max_size=None, open_timeout=20) as socket:
            socket.send(json.dumps({"token": token}))
            for _ in range(int(generator.integers(150))):
                row.tried += 1
                size = int(generator.integers(40_000))
                loud = generator.random() < 0.3
                socket.send(generator.bytes(size) if loud else WORDS[int(generator.integers(len(WORDS)))])
    except ConnectionClosed as closed:
        if closed.rcvd is None or closed.rcvd.code not in ENDS or not closed.rcvd.reason:
            row.wrong(f"a socket ended without a reason: {closed.rcvd}")
    except (OSError, InvalidHandshake, TimeoutError) as error:
        row.lost += 1
        row.wrong(f"a socket was not opened: {type(error).__name__}")


def _send_line(run: Studio, row: AttackRow, http: httpx2.Client, line: object) -> None:
    row.tried += 1
    try:
        answer = http.post(f"{run.base}/api/v1/channels/main/chat", json=line)
    except httpx2.HTTPError as error:
        row.lost += 1
        row.wrong(f"a chat line had no answer: {type(error).__name__}")
        return
    if answer.status_code not in ANSWERS:
        row.lost += 1
        row.wrong(f"a chat line was answered with {answer.status_code}")
    elif answer.status_code == 429 and "retry-after" not in answer.headers:
        row.wrong("a chat line was refused without Retry-After")


def _check_answer(run: Studio, row: AttackRow, server: TalkServer) -> None:
    """Check that the host still answers a question after the attack."""
    deadline = time.monotonic() + LAST_ANSWER_S
    while time.monotonic() < deadline:
        try:
            with connect(_address(run, "conversation"), compression=None, open_timeout=20) as socket:
                socket.send(json.dumps({"token": run.token}))
                socket.send('{"type": "interrupt"}')
                socket.send('{"type": "text", "text": "Are you still there?"}')
                while time.monotonic() < deadline:
                    told = json.loads(socket.recv(20))
                    if told["type"] == "line" and told["final"] and told["text"] == server.reply:
                        return
        except (ConnectionClosed, TimeoutError):
            time.sleep(0.2)  # the previous talker's socket is not closed yet
    row.lost += 1
    row.wrong("the last question was not answered")
