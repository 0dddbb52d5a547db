"""A process may be killed between any two steps: the task is accepted once, and its video is fetched."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.engines.duix.material import task
from tests.support.engines.duix.service import DuixStandIn, Knobs

ROOT = Path(__file__).parents[3]
MOST_STEPS = 200
pytestmark = pytest.mark.apart  # starts a process


@dataclass
class Clients:
    """A process that forks clients, and the service that they talk to."""

    service: DuixStandIn
    forker: "subprocess.Popen[str]"
    pid: int = 0

    @property
    def folder(self) -> Path:
        return self.service.data.parent

    def run(self, code: str, kill_at: int = 0) -> int:
        """Run a client to its end; return its exit code."""
        assert self.forker.stdin is not None
        asked = {"folder": str(self.folder), "url": self.service.url, "code": code, "kill_at": kill_at}
        self.forker.stdin.write(json.dumps(asked) + "\n")
        self.forker.stdin.flush()
        self.pid = self._number()
        return self._number()

    def came(self, code: str) -> bool:
        """Whether a further client, which is not killed, gets the video of the task, accepted once, and cleans up."""
        ended = self.run(code) == 0 and (self.folder / f"{code}.mp4").exists()
        left = [*self.service.temp.iterdir(), *(self.service.data / "persona-studio").iterdir()]
        return ended and self.service.taken.count(code) == 1 and [path.name for path in left] == ["lock"]

    def _number(self) -> int:
        assert self.forker.stdout is not None
        return int(self.forker.stdout.readline())


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    service = DuixStandIn(
        tmp_path_factory.mktemp("kills") / "data", seconds=6.0, clock=lambda: 2.0 * len(service.asked)
    )
    command = [sys.executable, "-m", "tests.support.engines.duix.kills"]
    with (
        service.serving(),
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as forker,
    ):
        task(service.data.parent)
        yield Clients(service, forker)
        forker.kill()


def test_it_is_killed_at_each_of_its_steps(clients: Clients) -> None:
    """Steps are those on the disk and on the network, one further each time, until a client survives to its end."""
    failed, step = list[int](), 0
    for step in range(1, MOST_STEPS):
        code = str(uuid.uuid4())
        survived = clients.run(code, step) == 0
        if not clients.came(code):
            failed.append(step)
        if survived:
            break
    assert failed == [] and 25 < step < MOST_STEPS - 1


@pytest.mark.parametrize(
    "moment, when",
    [
        ("before submit", lambda service, code: True),
        ("after submit", lambda service, code: True),
        ("before query", lambda service, code: code not in service.asked),
        ("after query", lambda service, code: code in service.ends),
    ],
    ids=["submitting", "taken and not told", "waiting", "end told and not heard"],
)
def test_it_is_killed_while_the_service_answers(
    clients: Clients, moment: str, when: Callable[[DuixStandIn, str], bool]
) -> None:
    """The answer is lost with the client, even the one that reports the end, which is sent only once."""
    service, code = clients.service, str(uuid.uuid4())

    def strike(now: str) -> None:
        if now == moment and when(service, code):
            os.kill(clients.pid, signal.SIGKILL)

    service.knobs = Knobs(before=lambda what: strike(f"before {what}"), after=lambda what: strike(f"after {what}"))
    assert clients.run(code) == -signal.SIGKILL
    service.knobs = Knobs()
    assert clients.came(code)
