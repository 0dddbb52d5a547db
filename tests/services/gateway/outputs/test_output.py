"""What outputs have in common."""

import pytest

from services.gateway.outputs.base import OutputState

pytestmark = pytest.mark.unit


def test_since_moves_with_the_word_only() -> None:
    first = OutputState().now("connecting")
    assert first.since > 0
    again = first.now("connecting", "Still nobody there.")
    assert (again.since, again.note) == (first.since, "Still nobody there.")
    live = OutputState("connecting", since=1.0).now("live", viewers=2)
    assert live.since > 1 and live.facts()["figures"] == {"viewers": 2}
