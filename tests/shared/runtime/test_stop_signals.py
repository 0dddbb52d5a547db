"""Stop signals, sent by this process to itself."""

import os
import signal
from collections.abc import Iterator

import pytest

from shared.runtime.stop_signals import TERMINAL, StopSignals


@pytest.fixture(autouse=True)
def _handlers_put_back() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in TERMINAL}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", TERMINAL)
def test_a_stop_signal_is_counted_and_handed_on(number: signal.Signals) -> None:
    calls: list[int] = []
    stop = StopSignals(TERMINAL, lambda: calls.append(1))
    assert not stop and stop.count == 0
    os.kill(os.getpid(), number)
    assert stop and stop.count == 1 and calls == [1]
    os.kill(os.getpid(), number)
    assert stop.count == 2
