"""Delays before a restart and before the next attempt."""

from shared.runtime.restart import RestartPolicy, RetryDelay


class RestartClock:
    """Clock that shows the time set by the test."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_each_death_within_a_minute_lengthens_the_delay() -> None:
    policy = RestartPolicy((0.0, 0.5, 2.0), RestartClock())
    assert policy.is_due()
    assert [policy.died() for _ in range(4)] == [0.0, 0.5, 2.0, 2.0]


def test_a_restart_is_due_when_its_delay_is_over() -> None:
    clock = RestartClock()
    policy = RestartPolicy((1.0,), clock)
    policy.died()
    clock.now_s += 0.9
    assert not policy.is_due()
    clock.now_s += 0.2
    assert policy.is_due()


def test_deaths_older_than_a_minute_are_forgotten() -> None:
    clock = RestartClock()
    policy = RestartPolicy((0.0, 5.0), clock)
    policy.died()
    clock.now_s += 59.0
    assert policy.died() == 5.0
    clock.now_s += 61.0
    assert policy.died() == 0.0


def test_retries_get_rarer_up_to_the_cap_and_start_over_after_a_success() -> None:
    retry = RetryDelay(first_s=1, cap_s=8)
    waits = [retry.next_s() for _ in range(40)]
    for wait, step in zip(waits, [1, 2, 4, *[8] * 37], strict=True):
        assert step / 2 <= wait <= step
    assert len(set(waits)) > 20, "no jitter"
    retry.reset()
    assert retry.next_s() <= 1
