"""The benchmark of PersonaLive measures what it reports, and names what it cannot measure."""

import inspect
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.engines import attention, personalive
from benchmarks.engines.personalive_peer import Original, OriginalPersonaLive
from shared.errors import StudioError

FULL = {"fps": 30.0, "original_over_this": 1.9, "memory_mb": 9_000, "delay": {"ms": 720.0}}


def test_a_run_without_the_original(monkeypatch: pytest.MonkeyPatch) -> None:
    torch, _, _ = (
        pytest.importorskip(name) for name in ("torch", "diffusers", "transformers")
    )  # importing them takes seconds, in this test alone
    from benchmarks.engines import personalive_size

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setitem(personalive_size.SIZES, "tiny", replace(personalive_size.TINY, frames=64))
    monkeypatch.setattr(personalive, "CALLS", 1)
    monkeypatch.setattr(personalive, "delayed", lambda driven, clock_ms: {"ms": clock_ms})
    chosen = [way for way in personalive.ways(gpu=False) if way.precision == "float32" and not way.small_vae]
    monkeypatch.setattr(personalive, "ways", lambda gpu: chosen)
    figures = personalive.measure(size="tiny", rounds=1)
    (row,) = figures["ways"].values()
    assert row["parts_ms"] == pytest.approx(sum(row[f"{name}_ms"] for name in personalive.PARTS), rel=0.01)
    assert 0 < row["of_matrix_rate"] < 1 and row["keyframes_ms"] > 0 and row["fps"] > 0
    assert figures["attention"] == {"left_out": "xFormers runs only on a GPU, and PyTorch finds none here."}
    assert set(figures["refused"]) == {"compile", "xformers", "tensorrt"}
    assert set(figures["bars"].values()) == {personalive.NOT_HERE}
    with pytest.raises(StudioError, match="The full size needs a GPU"):
        personalive.measure(size="full")


def test_attention_is_held_against_pytorchs_own() -> None:
    """The other function is called as the other kernel is on a GPU."""
    torch = pytest.importorskip("torch")
    asked = []

    def other(*given: Any) -> Any:
        asked.append(tuple(given[0].shape))
        return torch.nn.functional.scaled_dot_product_attention(*given)

    row = attention.beside(torch.device("cpu"), (1, 2, 256, 32), other, calls=2)
    assert row["torch_over_xformers"] == pytest.approx(row["torch_ms"] / row["xformers_ms"])
    assert asked == [(1, 2, 256, 32)] * 2 * (attention.ROUNDS + 1) and row["xformers_ms"] > 0


def test_bars_are_met_missed_or_not_measured() -> None:
    told = personalive.bars(
        {"ways": {"float16 none": FULL, "float16 compile": FULL | {"fps": 20.0}, "float32 none": {}}}
    )
    assert [said.split(":")[0] for said in told.values()] == ["missed", "met", "met", "met", "not measured"]


def test_an_original_that_cannot_be_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="is not a checkout of PersonaLive"):
        OriginalPersonaLive(tmp_path, "tiny")
    for path, content in (
        ("src/wrapper.py", ""),
        (".venv/bin/python", "#!/bin/sh\necho it lacks einops >&2\nexit 1\n"),
    ):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(content, encoding="utf-8")
        (tmp_path / path).chmod(0o755)
    with (
        OriginalPersonaLive(tmp_path, "tiny") as peer,
        pytest.raises(StudioError, match=r"cannot be run \(it lacks einops\)"),
    ):
        peer.ask("description")


def test_every_request_of_the_benchmark_is_answered_by_the_peer() -> None:
    """The peer looks up a request by name among the methods of `Original`; no test has the original's checkout."""
    asked = set(re.findall(r'\.ask\("(\w+)"', inspect.getsource(personalive)))
    assert asked == {"begin", "description", "keyframes", "round"}
    assert all(callable(getattr(Original, name, None)) for name in asked)
