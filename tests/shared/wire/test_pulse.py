"""A service's meter."""

from pathlib import Path

import pytest

from shared.wire import pulse


def test_a_memory_that_cannot_be_measured_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meter = pulse.Meter("gateway")
    measured = meter.pulse(0).rss
    assert measured > 0
    monkeypatch.setattr(pulse, "_STATM", str(tmp_path / "none"))
    said = meter.pulse(1)
    assert said.rss == measured and said.drops == {"memory not measured": 1}
