"""The processes of sessions run where sessions are allowed, and are restarted when they die."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.channel import wait_for
from services.local import channel_supervisor
from services.local.channel_supervisor import SERVICES, START_S, Supervisor
from shared.config.settings import SessionSettings, Settings

ALLOWED = SessionSettings(allowed_livekit_urls=["ws://127.0.0.1:7880"])


def test_without_an_allowed_server_a_channel_runs_alone(tmp_path: Path, run_root: Path) -> None:
    with Supervisor(Settings(home=tmp_path, run_root=run_root, port=0), port_asked=True) as alone:
        assert alone.services == SERVICES


def test_both_processes_of_sessions_are_started_and_started_again(
    tmp_path: Path, run_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_supervisor, "SERVICES", ())  # the channel's own services have tests elsewhere
    settings = Settings(home=tmp_path, run_root=run_root, port=0, sessions=ALLOWED)

    with Supervisor(settings, port_asked=True) as supervisor:

        def pids() -> dict[str, int]:
            supervisor.turn()
            return {name: pulse.pid for name, pulse in supervisor.pulses.items()}

        supervisor.start()
        wait_for(lambda: set(pids()) == {"sessions", "faces"}, 300, "both beat", every=0)
        before = pids()
        supervisor._children["faces"].process.kill()
        wait_for(lambda: pids().get("faces", before["faces"]) != before["faces"], 300, "it beats again", every=0)
        assert pids()["sessions"] == before["sessions"]


def test_a_service_that_never_beats_is_given_time_to_start_and_then_ended(
    tmp_path: Path, run_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(channel_supervisor, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(channel_supervisor, "SERVICES", ("silent",))
    monkeypatch.setattr(channel_supervisor, "SESSION_SERVICES", {"silent": ("http.server", "0")})
    with Supervisor(Settings(home=tmp_path, run_root=run_root, port=0), port_asked=True) as supervisor:
        supervisor.start()
        (process,) = [each.process for each in supervisor._children.values()]
        now[0] = START_S - 1
        supervisor.turn()
        assert process.poll() is None
        now[0] = START_S + 1

        def is_ended() -> bool:
            supervisor.turn()
            return process.poll() is not None

        wait_for(is_ended, what="it is ended", every=0)
