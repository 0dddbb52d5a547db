"""`studio live --livekit` as a user starts it.

A server of its own, a viewer who sees the face move, an end without rest.
"""

import os
import signal
from pathlib import Path

import httpx
import numpy as np
import pytest

from harness.channel import Studio, children, command, studio, wait_for
from harness.viewers import subscriber
from services.local.livekit_server import find_server

pytestmark = pytest.mark.skipif(find_server() is None, reason="no LiveKit server: deploy/livekit.sh builds one")


def servers(run: Studio) -> list[int]:
    return [pid for pid in children(run.process.pid) if any("livekit-server" in word for word in command(pid))]


def published(run: Studio) -> bool:
    return bool(run.state().get("outputs", {}).get("livekit", {}).get("state") == "live")


def watch(run: Studio, seconds: float) -> subscriber.Received:
    url = f"{run.base}/api/v1/channels/{run.channel}/viewers"
    given = httpx.post(url, headers={"Authorization": f"Bearer {run.token}"}, trust_env=False).raise_for_status().json()
    return subscriber.finished_subscriber(subscriber.start(given["url"], given["token"], seconds))


def test_a_host_is_watched_through_a_server_of_ones_own(live_home: Path, run_root: Path) -> None:
    with studio(live_home, run_root, "--port", "0", "--livekit") as run:
        run.on_air()
        wait_for(lambda: published(run), 20, "published")
        state = run.state()
        got = watch(run, 8)
        rows = np.array(got.frames)
        assert (rows[0][1], rows[0][2]) == (state["program"]["width"], state["program"]["height"])
        assert len(rows) > 30 and np.ptp(rows[:, 3]) > 0.05  # it moves
        assert max(level for *_, level in got.peaks) > 100  # the sample driver speaks
        secret = [
            line for line in run.log.read_text(encoding="utf-8").splitlines() if "eyJ" in line and "token=" not in line
        ]
        assert not secret

        first = servers(run)
        assert len(first) == 1
        # Its keys stay hidden: not in a command line, and given to no service but the gateway.
        assert not any("keys" in word or "secret" in word.lower() for word in command(first[0]))
        for name, pid in run.pids().items():
            told = b"LIVEKIT_API_SECRET=" in Path(f"/proc/{pid}/environ").read_bytes()
            assert told == (name == "gateway"), name

        os.kill(first[0], signal.SIGKILL)
        wait_for(lambda: servers(run) not in ([], first), 15, "the server is started again")
        wait_for(lambda: published(run), 60, "published again")
        assert len(watch(run, 5).frames) > 15
        assert run.end() == 0
        assert not servers(run)


def test_a_key_without_its_secret_is_one_sentence(
    live_home: Path, run_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVEKIT_URL", "ws://127.0.0.1:1")
    with studio(live_home, run_root, "--port", "0", "--livekit") as run:
        assert run.process.wait(30) == 1
        said = run.log.read_text(encoding="utf-8").strip()
    assert "LIVEKIT_API_SECRET" in said and "Traceback" not in said
