"""Observations of a running channel, which wait as long as needed: nothing here depends on the machine's speed."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from harness.channel import Studio, wait_for
from shared.wire.message import Message

IN_A_ROW = 5  # consecutive messages that show the state which a stream has reached
ENDS_S = 300  # seconds after which a process that does not end by itself has failed its test


def next_messages(run: Studio, stream: str, count: int, wanted: Callable[[Message], bool] = bool) -> list[Message]:
    """Return all new messages of a stream, until `count` of them are wanted."""
    reader = run.read(stream)
    found: list[Message] = []

    def enough() -> bool:
        found.extend(reader.read())
        return sum(map(wanted, found)) >= count

    wait_for(enough, what=f"{count} messages of {stream}")
    reader.close()
    return found


def until_state(run: Studio, state: str, stream: str = "program") -> None:
    """Wait until IN_A_ROW consecutive messages have this state."""
    reader = run.read(stream)
    last: list[str] = []

    def has_it() -> bool:
        last.extend(message.facts["state"] for message in reader.read())
        del last[:-IN_A_ROW]
        return last == [state] * IN_A_ROW

    wait_for(has_it, what=f"{stream} {state}")
    reader.close()


def service_row(run: Studio, service: str) -> dict[str, Any]:
    """Return the state of a service from the API; {} while the gateway cannot answer."""
    return dict(run.state().get("services", {}).get(service, {}))


def note_of(run: Studio, service: str) -> str:
    """The sentence in which a service says what is wrong."""
    return str(service_row(run, service).get("note", ""))


def recorded_seconds(run: Studio) -> float:
    """Return the seconds of the program that have been recorded so far."""
    return float(run.state().get("outputs", {}).get("record", {}).get("figures", {}).get("seconds", 0.0))


def left_out(run: Studio) -> int:
    """Return how much all services have dropped so far, which is more on a machine that has not kept up."""
    rows = run.state().get("services", {}).values()
    return sum(sum(row["drops"].values()) for row in rows)


def refusal(run: Studio) -> str:
    """Return the output of a channel that does not start, as one line."""
    assert run.process.wait(ENDS_S) == 1
    said = " ".join(run.log.read_text(encoding="utf-8").split())
    assert "Traceback" not in said
    return said


@contextmanager
def unwatched(run: Studio) -> Iterator[None]:
    """Stop the supervisor meanwhile, so that it does not restart a service that dies."""
    run.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, run.process.pid, os.WSTOPPED | os.WNOWAIT)
    try:
        yield
    finally:
        run.process.send_signal(signal.SIGCONT)
