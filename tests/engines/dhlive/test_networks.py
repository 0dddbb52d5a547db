"""DH_live's networks give the original's numbers, with weights that follow from their names.

The vectors are the original's own (`tests.parity.golden_vectors.dhlive`). `python -m tests.parity dhlive` compares
every layer.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from engines.dhlive.crop_painter import CropPainter  # noqa: E402
from engines.dhlive.generation import Generation  # noqa: E402
from engines.dhlive.networks import adaat, mini2, mini2_folded  # noqa: E402
from engines.dhlive.networks.audio import AudioNetwork, silent_state  # noqa: E402
from engines.dhlive.networks.checkpoints import NETWORKS, load_audio, load_mouth  # noqa: E402
from engines.dhlive.networks.mini1 import Mini1Network  # noqa: E402
from engines.dhlive.networks.mini2 import Mini2Network  # noqa: E402
from engines.dhlive.networks.mini2_folded import FoldedMini2  # noqa: E402
from engines.dhlive.networks.old import OldNetwork  # noqa: E402
from harness.tiny.dhlive import mask  # noqa: E402
from shared.errors import StudioError  # noqa: E402
from tests.parity.dhlive import BOUND, streamed  # noqa: E402
from tests.parity.golden_vectors.dhlive import OUT, filled, inputs  # noqa: E402
from tests.parity.ruled import samples  # noqa: E402

STREAMED = 2e-6  # allowed difference between pair by pair and all together
FOLDED = 1e-5  # allowed difference between layers computed as one and separately
Results = dict[str, Any]


@cache
def golden() -> dict[str, Any]:
    with np.load(OUT, allow_pickle=False) as data:
        return dict(data)


def results(name: str) -> Results:
    given = inputs(name)
    with torch.inference_mode():
        return CASES[name](given)


def off(name: str) -> float:
    """Return the greatest difference from the original's numbers."""
    wanted = {key.removeprefix(f"{name} "): value for key, value in golden().items() if key.startswith(f"{name} ")}
    found = results(name)
    assert wanted.keys() == found.keys()
    return max(float(np.abs(value - samples(found[key])).max()) for key, value in wanted.items())


def of_mini2(given: dict[str, Any]) -> Results:
    network: Any = filled(Mini2Network())
    style = network.style(given["ref"])
    return {"style": style, "image": network(given["source"], network.person(style))}


def of_pipeline(given: dict[str, Any]) -> Results:
    network: Any = FoldedMini2(filled(Mini2Network()))
    person = network.person(given["style"])
    painter = CropPainter(Generation.MINI2.geometry, mask(184, 184, 16), mask(112, 80, 8))
    return {"crop": painter.paint(given["crop"], given["control"], lambda source: network(source, person))[:, :3]}


def of_mini1(given: dict[str, Any]) -> Results:
    network: Any = filled(Mini1Network())
    return {"image": network(given["source"], network.person(network.features(given["ref"])))}


def of_old(given: dict[str, Any]) -> Results:
    network: Any = filled(OldNetwork())
    return {"image": network(given["source"], given["prompt"], network.person(given["ref"]))}


def of_audio(given: dict[str, Any]) -> Results:
    values, (hidden, cell) = filled(AudioNetwork())(given["mel"], silent_state(2))
    return {"values": values, "hidden": hidden, "cell": cell}


CASES: dict[str, Callable[[dict[str, Any]], Results]] = {
    "mini2": of_mini2, "pipeline": of_pipeline, "mini1": of_mini1, "old": of_old, "audio": of_audio,
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_network_gives_the_originals_numbers(name: str) -> None:
    assert off(name) <= BOUND


def whole_batch_normalised(self: Any, x: Any, style: Any) -> Any:
    plain = (x - x.mean()) / x.std()
    return plain + torch.sigmoid(style.gate * x) * (plain * style.scale + style.bias)


MISTAKES: dict[str, tuple[str, Any, str, Any]] = {
    "features moved by their own channel alone": ("mini1", adaat.ChannelMotion, "mixed", staticmethod(lambda x: x)),
    "the old one too": ("old", adaat.ChannelMotion, "mixed", staticmethod(lambda x: x)),
    "frames normalised together": ("mini2", mini2.StyleModulation, "forward", whole_batch_normalised),
    "normalised with another spread": ("pipeline", mini2_folded, "EPSILON", 1.0),
    "a softer edge of the mouth": ("pipeline", CropPainter.paint.__globals__, "SHARPNESS", 5.0),
    "corners aligned": ("mini1", torch.nn.functional, "grid_sample", lambda x, grid, **_: _aligned(x, grid)),
    "a rectifier too soft": ("audio", torch.nn.LeakyReLU, "forward", lambda self, x: torch.relu(x)),
}
_sample = torch.nn.functional.grid_sample


def _aligned(x: Any, grid: Any) -> Any:
    return _sample(x, grid, align_corners=True)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_deliberate_mistake_is_caught(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case, owner, name, wrong = MISTAKES[mistake]
    if isinstance(owner, dict):
        monkeypatch.setitem(owner, name, wrong)
    else:
        monkeypatch.setattr(owner, name, wrong)
    assert off(case) > BOUND


def test_pair_by_pair_is_all_at_once() -> None:
    network: Any = filled(AudioNetwork())
    mel = inputs("audio")["mel"]
    with torch.inference_mode():
        apart = (streamed(network, mel) - network(mel, silent_state(2))[0]).abs().max()
    assert float(apart) <= STREAMED


@pytest.mark.parametrize("faces", [1, 3, 9])
def test_folded_layers_draw_what_the_definition_does(faces: int) -> None:
    """One face, a batch, and a batch that a CPU computes in parts; each face with its own style."""
    network: Any = filled(Mini2Network())
    chance = torch.Generator().manual_seed(3)
    source = torch.rand(faces, 3, 80, 112, generator=chance)
    person = network.person(torch.randn(faces, 64, generator=chance))
    with torch.inference_mode():
        defined, drawn = network(source, person), FoldedMini2(network)(source, person)
    assert defined.std() > 0.05 and float((drawn - defined).abs().max()) <= FOLDED


@pytest.mark.parametrize("generation", Generation)
@pytest.mark.parametrize("wrapped", (False, True))
def test_a_checkpoint_is_recognised_by_its_keys(generation: Generation, wrapped: bool, tmp_path: Path) -> None:
    """A bare state, and one wrapped as in the training files of the mini generations, with their other contents."""
    network = filled(NETWORKS[generation]())
    held = (
        {"state_dict": {"net_g": network.state_dict(), "net_d": {}}, "epoch": 40} if wrapped else network.state_dict()
    )
    torch.save(held, tmp_path / "net.pth")
    found, loaded = load_mouth(tmp_path / "net.pth")
    assert found is generation
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in loaded.state_dict().items())


def test_a_file_of_another_kind_is_refused_in_one_sentence(tmp_path: Path) -> None:
    torch.save(AudioNetwork().state_dict(), tmp_path / "audio.pkl")
    assert isinstance(load_audio(tmp_path / "audio.pkl"), AudioNetwork)
    with pytest.raises(StudioError, match=r"audio\.pkl holds no mouth network of DH_live"):
        load_mouth(tmp_path / "audio.pkl")
    torch.save(Mini1Network().state_dict(), tmp_path / "mini1.pth")
    with pytest.raises(StudioError, match=r"does not fit the network: it lacks"):
        load_audio(tmp_path / "mini1.pth")
