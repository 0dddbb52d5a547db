"""Low-rank changes: the same merged and live, scaled by the strength, and one sentence for files that do not fit."""

from pathlib import Path
from typing import Any

import pytest

from shared.errors import StudioError

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from engines.stableavatar.networks.lora import LiveLora, lora_of, merge, read_lora  # noqa: E402
from engines.stableavatar.networks.transformer import Sizes, Transformer  # noqa: E402

SIZES = Sizes(dim=48, heads=4, layers=2, feed_forward=64, frequencies=32, text_width=32, clip_width=32, audio_width=32)
LAYER = "lora_transformer__blocks_1_cross_attn_k_img"
RANK, SCALE = 4, 0.5


def state(rank: int = RANK, width: int = 48, alpha: float = RANK * SCALE) -> dict[str, Any]:
    rng = torch.Generator().manual_seed(1)
    return {
        f"{LAYER}.lora_down.weight": torch.randn(rank, width, generator=rng),
        f"{LAYER}.lora_up.weight": torch.randn(48, RANK, generator=rng),
        f"{LAYER}.alpha": torch.tensor(alpha),
    }


def test_merged_and_live_are_the_same_and_strength_scales_them() -> None:
    torch.manual_seed(2)
    network, given = Transformer(SIZES), torch.randn(3, 48)
    layer = network.blocks[1].cross_attn.k_img
    changes, base = lora_of(state(), network, "a.pt"), layer(given)
    wanted = given @ state()[f"{LAYER}.lora_down.weight"].T @ state()[f"{LAYER}.lora_up.weight"].T * SCALE
    live = LiveLora(network, changes, 2.0)
    assert torch.allclose(layer(given) - base, 2 * wanted, atol=1e-4) and float(wanted.abs().max()) > 1
    live.strength = 0.5
    assert torch.allclose(layer(given) - base, 0.5 * wanted, atol=1e-4)
    live.remove()
    assert torch.equal(layer(given), base)
    merge(network, changes, 0.5)
    assert torch.allclose(layer(given) - base, 0.5 * wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (state(rank=3), "has ranks .3, 48. and .48, 4. in"),
        (state(width=40), "from 40 to 48 channels, where it has 48 and 48"),
        ({"lora_te__blocks_0_q.alpha": torch.ones(())}, "not belong to a LoRA for StableAvatar"),
        ({f"{LAYER}x.alpha": torch.ones(())}, "a layer that StableAvatar does not have"),
        ({f"{LAYER}.alpha": torch.ones(())}, "one half of"),
        ({}, "holds no tensors"),
    ],
)
def test_what_does_not_fit_is_one_sentence(wrong: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "lora-checkpoint-1.pt"
    torch.save(wrong, path)
    with torch.device("meta"):
        network = Transformer(SIZES)
    with pytest.raises(StudioError, match=words) as caught:
        read_lora(path, network)
    assert "\n" not in str(caught.value)
