"""What outputs have in common."""

from services.gateway.outputs.base import Backoff, OutputState


def test_since_moves_with_the_word_only() -> None:
    first = OutputState().now("connecting")
    assert first.since > 0
    again = first.now("connecting", "Still nobody there.")
    assert (again.since, again.note) == (first.since, "Still nobody there.")
    live = OutputState("connecting", since=1.0).now("live", viewers=2)
    assert live.since > 1 and live.facts()["figures"] == {"viewers": 2}


def test_attempts_get_rarer_up_to_the_cap_and_begin_anew_after_success() -> None:
    backoff = Backoff(first=1, cap=8)
    waits = [backoff.wait() for _ in range(40)]
    for wait, step in zip(waits, [1, 2, 4, *[8] * 37], strict=True):
        assert step / 2 <= wait <= step
    assert len(set(waits)) > 20  # jitter
    backoff.reset()
    assert backoff.wait() <= 1
