"""`studio live --livekit` as a user starts it.

The studio starts its own server, a viewer sees the face move, and no process is left at the end.
"""

import itertools
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from harness.channel import Studio, children, command, studio, wait_for
from harness.viewers import subscriber
from services.local.livekit_server import find_server
from tests.support.running.channel_looks import ENDS_S, refusal

LOOK_S = 8.0  # length of the first look; each further look is longer by it

pytestmark = pytest.mark.skipif(find_server() is None, reason="no LiveKit server: deploy/livekit.sh builds one")


def servers(run: Studio) -> list[int]:
    return [pid for pid in children(run.process.pid) if any("livekit-server" in word for word in command(pid))]


def published(run: Studio) -> bool:
    return bool(run.state().get("outputs", {}).get("livekit", {}).get("state") == "live")


def watch(run: Studio, enough: Callable[[subscriber.Received], bool]) -> subscriber.Received:
    """Subscribe as a viewer, each time for longer, until `enough` accepts what was received; return that."""
    url, headers = f"{run.base}/api/v1/channels/{run.channel}/viewers", {"Authorization": f"Bearer {run.token}"}
    seconds = itertools.accumulate(itertools.repeat(LOOK_S))

    def look() -> subscriber.Received | None:
        given = httpx.post(url, headers=headers, trust_env=False, timeout=ENDS_S).raise_for_status().json()
        try:
            got = subscriber.finished_subscriber(subscriber.start(given["url"], given["token"], next(seconds)))
        except json.JSONDecodeError:  # the server was not running yet
            return None
        return got if enough(got) else None

    seen: subscriber.Received = wait_for(look, ENDS_S, "a viewer sees enough")
    return seen


def test_a_host_is_watched_through_a_server_of_ones_own(live_home: Path, run_root: Path) -> None:
    with studio(live_home, run_root, "--port", "0", "--livekit") as run:
        run.on_air()
        wait_for(lambda: published(run), what="published")
        program = run.state()["program"]

        def whole(got: subscriber.Received) -> bool:
            size = program["width"], program["height"]
            lumas = [luma for _, width, height, luma, *_ in got.frames if (width, height) == size]
            moves = len(lumas) > 1 and np.ptp(lumas) > 0.05
            speaks = max((level for *_, level in got.peaks), default=0) > 100
            return len(got.frames) > 30 and bool(moves) and speaks

        watch(run, whole)
        secret = [
            line for line in run.log.read_text(encoding="utf-8").splitlines() if "eyJ" in line and "token=" not in line
        ]
        assert not secret

        first = servers(run)
        assert len(first) == 1
        # The server's keys stay hidden: no command line has them, and no service but the gateway gets them.
        assert not any("keys" in word or "secret" in word.lower() for word in command(first[0]))
        for name, pid in run.pids().items():
            told = b"LIVEKIT_API_SECRET=" in Path(f"/proc/{pid}/environ").read_bytes()
            assert told == (name == "gateway"), name

        os.kill(first[0], signal.SIGKILL)
        wait_for(lambda: servers(run) not in ([], first), what="the server is started again")
        watch(run, lambda got: len(got.frames) > 15)  # the program is published again
        last = servers(run)
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(ENDS_S) == 0
        assert len(last) == 1 and not command(last[0])


def test_a_key_without_its_secret_is_one_sentence(
    live_home: Path, run_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVEKIT_URL", "ws://127.0.0.1:1")
    with studio(live_home, run_root, "--port", "0", "--livekit") as run:
        assert "LIVEKIT_API_SECRET" in refusal(run)
