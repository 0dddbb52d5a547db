"""LivePortrait's networks give the original's numbers, at small sizes and with weights that follow from their names.

The vectors are the original's own (`tests.parity.golden_vectors.liveportrait`). `python -m tests.parity liveportrait`
compares at full size.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from engines.liveportrait.networks import decoder, layers, motion_extractor, warping  # noqa: E402
from engines.liveportrait.networks.networks import LivePortraitNetworks  # noqa: E402
from shared.weights.checkpoint import fold_spectral_norm  # noqa: E402
from tests.parity.golden_vectors.liveportrait import OUT, SIZES, inputs  # noqa: E402
from tests.parity.ruled import published_shapes, samples, state  # noqa: E402

NAMES = ("appearance", "motion", "warping", "decoder", "stitching", "lips", "eyes")
ATOL, RTOL = 1e-5, 1e-4


@cache
def golden() -> dict[str, Any]:
    with np.load(OUT, allow_pickle=False) as data:
        return dict(data)


def worst(name: str, fold: Callable[[Any], Any] = fold_spectral_norm, fused: bool = False) -> float:
    """Return the greatest difference of a network, as a multiple of the tolerance."""
    net = getattr(LivePortraitNetworks.empty(SIZES), name)
    weights = state(published_shapes(net))
    net.load_state_dict(fold(weights) if name == "decoder" else weights, strict=True)
    if fused:
        net.fuse()
    with torch.inference_mode():
        out = net(*inputs(name))
    if name == "warping":
        out = {"out": out.out, "deformation": out.deformation, "occlusion_map": out.occlusion}
    outputs = out if isinstance(out, dict) else {"out": out}
    wanted = {key.removeprefix(f"{name} "): value for key, value in golden().items() if key.startswith(f"{name} ")}
    assert wanted.keys() == outputs.keys()
    return max(
        float(np.abs(value - samples(outputs[key])).max() / (ATOL + RTOL * np.abs(value).max()))
        for key, value in wanted.items()
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_network_gives_the_originals_numbers(name: str) -> None:
    assert worst(name) <= 1.0


@pytest.mark.parametrize("name", ("warping", "decoder"))
def test_fused_layers_give_the_same_numbers(name: str) -> None:
    assert worst(name, fused=True) <= 1.0


def _by_largest(weights: dict[str, Any]) -> dict[str, Any]:
    """Fold by the true spectral norm, which the stored vectors only approximate."""
    fixed = dict(weights)
    for name in [name for name in weights if name.endswith("weight_orig")]:
        u, _, v = torch.linalg.svd(weights[name].reshape(len(weights[name]), -1), full_matrices=False)
        fixed[name.replace("_orig", "_u")], fixed[name.replace("_orig", "_v")] = u[:, 0], v[0]
    return fold_spectral_norm(fixed)


MISTAKES: dict[str, tuple[str, Any, str, Any]] = {
    "appearance: pooled by the greatest": ("appearance", torch.nn.functional, "avg_pool2d",
        torch.nn.functional.max_pool2d),
    "appearance: a rectifier that leaks": (
        "appearance", layers.VolumeResidual, "forward",
        lambda self, x: x + self.conv2(torch.nn.functional.leaky_relu(self.norm2(self.conv1(torch.relu(self.norm1(x)))),
            0.01)),
    ),
    "motion: GELU by tanh": (
        "motion", torch.nn.functional, "gelu", partial(torch.nn.functional.gelu, approximate="tanh"),
    ),
    "motion: no response norm": ("motion", motion_extractor.ResponseNorm, "forward", lambda self, x: x),
    "warping: corners aligned": (
        "warping", warping, "sample", partial(torch.nn.functional.grid_sample, align_corners=True),
    ),
    "warping: the border repeated": (
        "warping", warping, "sample", partial(torch.nn.functional.grid_sample, align_corners=False,
            padding_mode="border"),
    ),
    "warping: wider heat": ("warping", warping, "VARIANCE", 0.02),
    "warping: another leak": ("warping", warping, "LEAK", 0.2),
    "decoder: another leak": ("decoder", decoder, "LEAK", 0.01),
    "decoder: another epsilon": ("decoder", decoder, "EPS", 1e-2),
    "decoder: the map resized smoothly": (
        "decoder", torch.nn.functional, "interpolate",
        lambda x, size=None, scale_factor=None, inner=torch.nn.functional.interpolate: inner(
            x, size=size, scale_factor=scale_factor,
            mode="bilinear" if x.shape[1] == 32 and x.shape[2] == 16 else "nearest"
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_network_is_seen(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, where, what, wrong = MISTAKES[mistake]
    monkeypatch.setattr(where, what, wrong)
    assert worst(name) > 3.0


def test_the_true_spectral_norm_is_a_mistake() -> None:
    assert worst("decoder", _by_largest) > 3.0


@pytest.mark.parametrize("name", ("stitching", "lips", "eyes"))
def test_a_rectified_last_layer_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from engines.liveportrait.networks.retargeting import Retargeting

    monkeypatch.setattr(Retargeting, "forward", lambda self, x: torch.relu(self.mlp(x)))
    assert worst(name) > 3.0
