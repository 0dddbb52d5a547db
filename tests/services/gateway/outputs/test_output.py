"""State that all outputs have in common."""

import pytest

from services.gateway.outputs.base import OutputState

pytestmark = pytest.mark.unit


def test_since_moves_with_the_word_only() -> None:
    first = OutputState().with_phase("connecting")
    assert first.since > 0
    again = first.with_phase("connecting", "Still no answer.")
    assert (again.since, again.note) == (first.since, "Still no answer.")
    live = OutputState("connecting", since=1.0).with_phase("live", viewers=2)
    assert live.since > 1 and live.as_dict()["figures"] == {"viewers": 2}
