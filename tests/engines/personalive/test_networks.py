"""PersonaLive's networks and loop give the original's numbers, with weights that follow from their names.

The vectors are the original's own (`tests.parity.golden_vectors.personalive`). `python -m tests.parity personalive`
compares all of a recording.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")
pytest.importorskip("diffusers", reason="diffusers is not installed: `make setup-torch` brings it")
pytest.importorskip("transformers", reason="transformers is not installed: `make setup-torch` brings it")

from engines.personalive import head_pose, transfer  # noqa: E402
from engines.personalive.networks import adapter_layers, attention, schedule, unet  # noqa: E402
from engines.personalive.networks.pose_guider import PoseGuider  # noqa: E402
from tests.parity.golden_vectors.personalive import CASES, GoldenCase  # noqa: E402
from tests.parity.personalive import CASES as PARITY  # noqa: E402
from tests.parity.recording import Deviation, compare  # noqa: E402

torch.set_num_threads(1)  # such small networks gain nothing from more

WORSE = 10.0  # times the allowed difference: a mistake is larger than rounding


def judged(name: str, arrays: int | None = None) -> Deviation:
    """Compare a golden case. arrays: number of its arrays to compare, None for all."""
    with torch.no_grad():
        return compare(name, islice(PARITY[name](GoldenCase.open(name)), arrays))


@pytest.mark.parametrize("name", CASES)
def test_the_originals_numbers(name: str) -> None:
    level = judged(name)
    assert level.agrees, str(level)


def _no_memory(memory: Any, more: Any) -> Any:
    return memory


def _changed(method: Callable[..., Any], change: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, *given: method(self, *change(*given))


FORWARD = unet.DenoisingUNet.forward
MISTAKES: dict[str, tuple[str, Any, str, Any]] = {
    "the portrait is not remembered": (
        "denoising_unet", unet.DenoisingUNet, "forward",
        _changed(FORWARD, lambda f, t, m, mo, p: (f, t, unet.Memory([], [], m.constants), mo, p)),
    ),
    "keyframes are not remembered": ("denoising_unet", unet, "join_memories", _no_memory),
    "CLIP is not looked at": (
        "denoising_unet", unet.DenoisingUNet, "forward",
        _changed(FORWARD, lambda f, t, m, mo, p: (f, t, unet.Memory(m.keys, m.values, [0 * c for c in m.constants]), mo,
            p)),
    ),
    "the pose is not added": (
        "denoising_unet", unet.DenoisingUNet, "forward", _changed(FORWARD, lambda f, t, m, mo, p: (f, t, m, mo, 0 * p)),
    ),
    "the motion runs backwards": (
        "denoising_unet", unet.DenoisingUNet, "forward",
        _changed(FORWARD, lambda f, t, m, mo, p: (f, t, m, mo.flip(0), p)),
    ),
    "no temporal modules": ("denoising_unet", adapter_layers.TemporalModule, "forward", lambda self, hidden: hidden),
    "time steps off by one": ("denoising_unet", unet, "LEVELS", (1, 334, 667, 998)),
    "positions run backwards": (
        "inserted_modules", adapter_layers.TemporalAttention, "forward",
        lambda self, hidden, context=None: attention.Attention.forward(
            self, hidden.transpose(0, 1) + self.pos_encoder.pe[:, :16].flip(1)
        ).transpose(0, 1),
    ),
    "another schedule": ("schedule", schedule, "STEP", 332),
    "the head's shift is followed wholly": ("motion_extractor", head_pose, "SHIFT", 1.0),
    "roll before pitch": (
        "motion_extractor", head_pose, "rotation_tensor",
        lambda angles, inner=head_pose.rotation_tensor: inner(angles).transpose(1, 2),
    ),
    "no frames between portrait and driver": (
        "motion_extractor", transfer, "lead_in", lambda own, lent,
        count: head_pose.concatenate_poses(*[lent.frame(0)] * count),
    ),
    "larger discs": ("pose_image", head_pose, "DISC_RADIUS_PX", 5),
    "a wider face": ("pose_image", head_pose, "FACE_SIDE", 3.6),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_seen(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, where, what, wrong = MISTAKES[mistake]
    monkeypatch.setattr(where, what, wrong)
    if what == "join_memories":
        monkeypatch.setattr("tests.parity.personalive.join_memories", wrong)
    level = judged(name, {"denoising_unet": 3 if what == "join_memories" else 2}.get(name))
    assert level.worst > WORSE * level.allowed, str(level)


def test_at_full_size_the_networks_have_the_published_tensors() -> None:
    sizes = {"block_out_channels": (320, 640, 1280, 1280), "cross_attention_dim": 768, "attention_head_dim": 8}
    with torch.device("meta"):
        full = (unet.DenoisingUNet(**sizes), unet.ReferenceUNet(**sizes), PoseGuider())
    assert [len(network.state_dict()) for network in full] == [1820, 682, 16]
    assert sum(parameter.numel() for parameter in full[0].parameters()) == pytest.approx(1684.8e6, rel=1e-4)
    assert sum(parameter.numel() for parameter in full[1].parameters()) == pytest.approx(859.5e6, rel=1e-3)
