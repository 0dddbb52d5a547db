"""PersonaLive's accelerations: each gives the frames of `none`, or says why it is not available."""

import sys
from copy import deepcopy
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.support.engines.personalive_material import driver, networks, run, session, torch  # isort: skip

from engines.personalive import acceleration, window
from engines.personalive.networks import attention
from engines.personalive.networks.networks import PersonaLiveNetworks
from engines.xformers_attention import xformers_attention
from shared.errors import StudioError

NEAR = 1e-4  # of the greatest latent: rounding of float32 when the same sums are done in another order


@pytest.fixture(scope="module")
def nets() -> PersonaLiveNetworks:
    return networks()


def apart(ours: PersonaLiveNetworks, usual: PersonaLiveNetworks, calls: int) -> float:
    """Return the greatest difference between the latents of both, as a fraction of the greatest latent of `usual`."""
    found, wanted = (run_for(nets, calls) for nets in (ours, usual))
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def run_for(nets: PersonaLiveNetworks, calls: int) -> Any:
    one = session(nets)
    run(one, list(driver(4 * calls)))
    return one.save()["latents"]


def test_what_cannot_be_had_is_refused(nets: PersonaLiveNetworks, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StudioError, match="TensorRT engines are not built"):
        acceleration.accelerate(nets, "tensorrt")
    with pytest.raises(
        StudioError, match="xFormers runs only on a GPU, and PyTorch finds none here; set STUDIO_PERSONALIVE"
    ):
        acceleration.accelerate(nets, "xformers")
    gpu = torch.device("cuda")
    monkeypatch.setattr(acceleration, "find_spec", lambda name: None)
    assert "needs Triton" in acceleration.acceleration_refusal("compile", gpu)
    monkeypatch.setattr(acceleration, "find_spec", lambda name: name)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "needs a C compiler" in acceleration.acceleration_refusal("compile", gpu)
    assert acceleration.acceleration_refusal("none", gpu) == ""
    acceleration.accelerate(nets, "none")


def documented(queries: Any, keys: Any, values: Any) -> Any:
    """Compute what xFormers documents for `memory_efficient_attention`, on (batch, tokens, heads, width)."""
    scores = torch.einsum("bmhk,bnhk->bhmn", queries / queries.shape[-1] ** 0.5, keys)
    return torch.einsum("bhmn,bnhk->bmhk", scores.softmax(-1), values)


def test_xformers_is_given_tokens_as_it_wants_them(nets: PersonaLiveNetworks, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def attend(*given: Any) -> Any:
        asked.append(given)
        return documented(*given)

    ops = ModuleType("xformers.ops")
    ops.memory_efficient_attention = attend  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "xformers", ModuleType("xformers"))
    monkeypatch.setitem(sys.modules, "xformers.ops", ops)
    other = deepcopy(nets)
    acceleration.attend_by(other, xformers_attention)
    assert apart(other, nets, 1) < NEAR
    transformers = sum(hasattr(module, "attn1") for module in other.denoising.modules())
    inserted = sum(isinstance(module, attention.Attention) for module in other.denoising.modules())
    assert len(asked) == transformers + inserted, "every attention of a call, motion's and time's too"


@pytest.mark.slow
def test_compiled_it_is_the_same_and_compiled_once(nets: PersonaLiveNetworks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "SETTLED", 0)
    monkeypatch.setattr(window, "UNLIKE", -1.0)
    compiled = deepcopy(nets)
    acceleration.compile_networks(compiled)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    assert apart(compiled, nets, 5) < NEAR
    counters = torch._dynamo.utils.counters
    assert not counters["graph_break"]
    assert counters["stats"]["unique_graphs"] == 2, "the denoising for any number of keyframes, and the decoder"
