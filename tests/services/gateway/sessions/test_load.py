"""Sessions are refused before the frames of other sessions are late, by the measured cost of those that run."""

import pytest

from services.gateway.sessions.load import (
    BUSY_SHARE,
    LATE_FOR_S,
    SESSION_CORES,
    UNMEASURED_S,
    ServedSession,
    SessionCapacity,
    SessionLoad,
    machine_jiffies,
)
from shared.wire.pulse import Meter

pytestmark = pytest.mark.unit
OLD_S = 60.0  # seconds on air, long enough to be measured


class LoadedMachine:
    """Two cores on a driven clock. busy: their load, 0 to 1. cores, share: used by each of the two session services."""

    def __init__(self, busy: float, cores: float = 0.0, share: float = 0.0) -> None:
        self.at, self.taken, self.whole, self.spent = 100.0, 0.0, 0.0, 0.0
        self.busy, self.cores, self.share = busy, cores, share
        self.load = SessionLoad(2, lambda: self.at, lambda: (self.taken, self.whole))
        self.run(5.0)

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds * 2)):
            self.at, self.whole = self.at + 0.5, self.whole + 100
            self.taken, self.spent = self.taken + 100 * self.busy, self.spent + self.cores / 2
            for name in ("sessions", "faces"):
                meter = Meter(name)
                meter.facts = {"cpu_s": self.spent, "share": self.share}
                self.load.receive_pulse(meter.pulse(0))

    def free(self, *on_air: float) -> int:
        return self.capacity(*on_air).free

    def capacity(self, *on_air: float) -> SessionCapacity:
        return self.load.capacity([ServedSession(seconds) for seconds in on_air])


def test_an_idle_machine_takes_as_many_as_fit_by_the_usual_cost() -> None:
    machine = LoadedMachine(busy=0.0)
    assert machine.free() == int(2 * BUSY_SHARE / SESSION_CORES)


def test_what_the_sessions_cost_here_decides_how_many_more_there_are() -> None:
    machine = LoadedMachine(busy=0.2, cores=0.1, share=0.05)  # two services: a fifth of a core for the one session
    capacity = machine.capacity(OLD_S)
    assert capacity.session_cores == pytest.approx(0.2) and capacity.busy == pytest.approx(0.2)
    assert capacity.free == 6 and capacity.reason == ""


def test_a_machine_that_others_keep_busy_takes_none_and_says_so() -> None:
    machine = LoadedMachine(busy=0.85)
    assert machine.free() == 0 and "85%" in machine.capacity().reason
    machine.busy = 0.1
    machine.run(5.0)
    assert machine.free() > 0


def test_a_thread_that_is_full_takes_none_on_the_largest_machine() -> None:
    machine = LoadedMachine(busy=0.1, cores=0.1, share=0.7)
    assert machine.free(*[OLD_S] * 6) == 0
    assert "70%" in machine.capacity(*[OLD_S] * 6).reason


def test_sessions_that_were_just_opened_count_before_they_are_measured() -> None:
    machine = LoadedMachine(busy=0.2, cores=0.1, share=0.05)
    before = machine.free(OLD_S)
    assert machine.free(OLD_S, 0.0, UNMEASURED_S / 2) == before - 2  # one is opening, one has just gone on air
    assert machine.free(OLD_S, *[0.1] * 20) == 0


def test_a_burst_is_taken_as_far_as_it_fits() -> None:
    machine, opening = LoadedMachine(busy=0.3, cores=0.15, share=0.1), 0
    while machine.free(OLD_S, *[0.0] * opening):
        opening += 1
    assert opening == int((BUSY_SHARE - 0.3) * 2 / 0.3)


def test_at_the_brink_it_stays_full_until_there_is_clearly_room() -> None:
    machine = LoadedMachine(busy=0.66, cores=0.15, share=0.1)
    assert machine.free(OLD_S) == 0
    machine.busy = 0.64  # room for 1.07 sessions
    machine.run(5.0)
    assert machine.free(OLD_S) == 0
    machine.busy = 0.6
    machine.run(5.0)
    assert machine.free(OLD_S) == 1
    machine.busy = 0.64
    machine.run(5.0)
    assert machine.free(OLD_S) == 1  # it was not full, so room for one is enough


def test_a_session_whose_frames_come_late_keeps_others_out_for_a_while() -> None:
    machine = LoadedMachine(busy=0.2, cores=0.1, share=0.05)
    late = [ServedSession(OLD_S), ServedSession(OLD_S, 22 / 25)]
    said = machine.load.capacity(late)
    assert said.free == 0 and "88%" in said.reason
    machine.run(LATE_FOR_S / 2)
    assert machine.free(OLD_S, OLD_S) == 0
    machine.run(LATE_FOR_S)
    assert machine.free(OLD_S, OLD_S) > 0
    assert machine.load.capacity([ServedSession(UNMEASURED_S / 2, 0.2)]).free > 0  # its encoder has just started


def test_a_service_that_has_begun_again_is_measured_from_there() -> None:
    machine = LoadedMachine(busy=0.2, cores=0.1, share=0.05)
    machine.spent = 0.0  # the time of a new process
    meter = Meter("faces")
    meter.facts = {"cpu_s": 0.0, "share": 0.0}
    pulse = meter.pulse(0)
    pulse.pid += 1
    machine.load.receive_pulse(pulse)
    assert machine.capacity(OLD_S).session_cores == pytest.approx(0.1)


def test_the_kernel_says_how_busy_the_machine_is() -> None:
    now = machine_jiffies()
    assert now is not None and 0 < now[0] < now[1]
