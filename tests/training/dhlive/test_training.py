"""Training a mouth on a film: losses fall, an interrupted run is resumed, and the engine loads the result."""

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from engines.dhlive.asset.references import INNER, LOWER_LIP, UPPER_LIP  # noqa: E402
from engines.dhlive.generation import Generation  # noqa: E402
from engines.dhlive.networks.checkpoints import load_mouth, recognised  # noqa: E402
from harness.sample_avatar import sample_avatar  # noqa: E402
from shared.errors import StudioError  # noqa: E402
from training.dhlive import losses  # noqa: E402
from training.dhlive import trainer as training  # noqa: E402
from training.dhlive.film_samples import SKIN, FilmSamples, painted  # noqa: E402
from training.dhlive.losses import Perception  # noqa: E402
from training.dhlive.trainer import Trainer  # noqa: E402

torch.set_num_threads(1)  # such small batches gain nothing from more threads


@pytest.fixture(autouse=True)
def narrow_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "FIRST", 8)


@cache
def samples() -> FilmSamples:
    """Return eight frames of the sample face, whose mouth opens more and more as a dark gap."""
    avatar = sample_avatar()
    points = avatar.face.points[:, :2]
    left, top = points[INNER].mean(axis=0) - 110
    matrix = np.array([[184 / 220, 0, -left * 184 / 220], [0, 184 / 220, -top * 184 / 220]])
    crop = np.asarray(cv2.warpAffine(avatar.roi, matrix, (184, 184)), np.uint8)
    placed = (points - (left, top)) * (184 / 220)
    crops, faces = [], []
    for opening in range(8):
        face, image = placed.copy(), crop.copy()
        face[LOWER_LIP] += (0, opening)
        cv2.fillPoly(image, [face[INNER].astype(np.int32)], (40, 20, 20))
        crops.append(image)
        faces.append(face)
    return FilmSamples(np.array(crops, np.uint8), np.array(faces, np.float32))


def test_a_batch_is_what_the_network_takes() -> None:
    source, references, target = samples().batch(np.arange(3), np.random.default_rng(1))
    assert source.shape == target.shape == (3, 3, 80, 112) and references.shape == (3, 12, 80, 112)
    assert float(source.min()) >= 0 and float(references.max()) <= 1
    assert not torch.equal(source, target)
    lips = painted(samples().crops[7], samples().points[7])
    upper, lower = (samples().points[7][points].mean(axis=0) for points in (UPPER_LIP[11:], LOWER_LIP[11:]))
    assert lips[int(upper[1]), int(upper[0]), 0] in (255, 0) and lips[int(lower[1]) - 2, int(lower[0]), 1] == 0
    assert (lips == (255, 0, 0)).all(axis=2).any() and (lips == (127, 0, 0)).all(axis=2).any()
    alone = samples()._reference(7, 0, 1.0, only_mouth=True)
    assert tuple(alone[5, 5, :3]) == SKIN and set(np.unique(alone[..., 3])) == {0, 127, 255}
    assert set(samples().open_mouths()) == {4, 5, 6, 7}


def test_losses_fall_and_the_engine_loads_what_came_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "RATE", 5e-4)
    of = Trainer()
    passes = [of.run_pass(samples(), batch=2) for _ in range(4)]
    assert passes[-1].pixels < 0.7 * passes[0].pixels and passes[0].perception == 0.0
    of.save(tmp_path / "mouth.pth")
    generation, network = load_mouth(tmp_path / "mouth.pth")
    assert generation is Generation.MINI2 and recognised(tmp_path / "mouth.pth") == "dhlive/epoch_40_new.pth"
    assert torch.equal(network.state_dict()["final_conv.bias"], of.drawing.state_dict()["final_conv.bias"])


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole, first = Trainer(), Trainer()
    wanted = [whole.run_pass(samples(), batch=4) for _ in range(2)]
    assert first.run_pass(samples(), batch=4) == wanted[0]
    first.save(tmp_path / "mouth.pth")
    second = Trainer(seed=1)
    second.resume(tmp_path / "mouth.pth")
    assert second.run_pass(samples(), batch=4) == wanted[1]
    assert torch.equal(second.draw(*_given()), whole.draw(*_given()))


def _given() -> tuple[Any, ...]:
    return samples().batch(np.arange(2), np.random.default_rng(3))[:2]


def test_the_rate_falls_to_nothing() -> None:
    of = Trainer()
    rates = []
    for done in (0, 4, 22, 40):
        of.passes = done
        of.run_pass(FilmSamples(samples().crops[:1], samples().points[:1]), batch=1)
        rates.append(of.optimizers["net_g"].param_groups[0]["lr"] / training.RATE)
    assert rates == [1.0, 1.0, 0.5, 0.0]


def test_another_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    torch.save({"epoch": 1}, tmp_path / "other.pth")
    with pytest.raises(StudioError, match="cannot continue from"):
        Trainer().resume(tmp_path / "other.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "vgg.pth")
    with pytest.raises(StudioError, match="holds no weights of VGG19"):
        Perception(tmp_path / "vgg.pth")
