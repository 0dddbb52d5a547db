"""PersonaLive's denoising network from the authors' files: merged, complete, and kept for the next load."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.errors import StudioError

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("diffusers", reason="diffusers is not installed")

CONFIG: dict[str, Any] = {
    "sample_size": 8,
    "block_out_channels": [32, 64, 64, 64],
    "layers_per_block": 1,
    "cross_attention_dim": 16,
    "attention_head_dim": 8,
    "_class_name": "UNet2DConditionModel",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the files as their authors publish them, at test size, without the tables that a network makes itself."""
    from engines.personalive.networks.loading import UNET, UNET_CONFIG
    from engines.personalive.networks.unet import DenoisingUNet

    monkeypatch.setenv("PERSONA_STUDIO_CACHE", str(tmp_path / "cache"))
    weights = tmp_path / "weights"
    (weights / UNET).parent.mkdir(parents=True)
    (weights / "personalive").mkdir()
    (weights / UNET_CONFIG).write_text(json.dumps(CONFIG), encoding="utf-8")
    torch.manual_seed(1)
    whole = DenoisingUNet(**{name: value for name, value in CONFIG.items() if name != "_class_name"}).state_dict()
    inserted = {name for name in whole if "motion_modules" in name or "temporal_modules" in name}
    temporal = {name for name in inserted if "temporal_modules" in name}
    base = {name: each for name, each in whole.items() if name not in inserted}
    own = {name: each + 1 for name, each in base.items()} | {n: whole[n] for n in inserted - temporal}
    torch.save(base, weights / f"{UNET}.bin")
    torch.save({f"module.{name}": each for name, each in own.items()}, weights / "personalive" / "denoising_unet.pth")
    parts = {name: whole[name] for name in temporal if not name.endswith(".pe")}
    torch.save({"state_dict": parts}, weights / "personalive" / "temporal_module.pth")
    return weights


def load(folder: Path) -> Any:
    from engines.personalive.networks.loading import denoising, unet_config

    return denoising(folder, unet_config(folder))


def test_the_later_file_wins_and_nothing_is_left_empty(folder: Path) -> None:
    from engines.personalive.networks.loading import UNET

    network = load(folder)
    base = torch.load(folder / f"{UNET}.bin", weights_only=True)
    assert torch.equal(network.state_dict()["conv_in.weight"], base["conv_in.weight"] + 1)
    assert not any(each.is_meta for each in network.state_dict().values())


def test_it_is_kept_and_loaded_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engines.personalive.networks import loading

    first = load(folder).state_dict()
    monkeypatch.setattr(loading, "merged", None)  # a second merge would fail
    again = load(folder).state_dict()
    assert first.keys() == again.keys() and all(torch.equal(first[name], again[name]) for name in first)
    kept = list((folder.parent / "cache" / "weights").glob("personalive-denoising-*.safetensors"))
    assert len(kept) == 1 and not list(folder.rglob("*.safetensors")), "the authors' folder is left as it is"


def test_a_file_without_its_tensors_is_one_sentence(folder: Path) -> None:
    torch.save({"x": torch.zeros(1)}, folder / "personalive" / "temporal_module.pth")
    with pytest.raises(StudioError, match=r"tensors are in none of .*temporal_module\.pth: "):
        load(folder)
    assert not list((folder.parent / "cache").rglob("*.safetensors"))
    (folder / "personalive" / "temporal_module.pth").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(StudioError, match="is a Git LFS pointer"):
        load(folder)
