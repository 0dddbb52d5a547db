"""The benchmark of DH_live measures each part, and reports what it cannot measure."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from benchmarks.engines import dhlive
from shared.errors import StudioError


def test_a_run_without_the_original() -> None:
    figures = dhlive.measure(rounds=2)
    assert figures["together_ms"] == pytest.approx(sum(figures["ms"][part] for part in dhlive.PARTS), abs=0.01)
    assert figures["ms"]["network of 8 faces"] > figures["ms"]["network"] > 0
    assert figures["original_ms"] == dhlive.NO_PEER
    assert {figures[bar].split(":")[0] for bar in ("budget", "batch")} <= {"met", "missed"}


def test_another_checkout_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="is not a checkout of DH_live that runs here"):
        dhlive.measure(peer=tmp_path, rounds=1)
