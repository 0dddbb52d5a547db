"""Training StableAvatar on a film.

The error falls, an interrupted run is resumed, and the engine loads the result.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from shutil import copytree
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from engines.stableavatar.engine import StableAvatarEngine  # noqa: E402
from engines.stableavatar.loop.schedule import clean_estimate  # noqa: E402
from engines.stableavatar.networks.loading import load_transformer  # noqa: E402
from engines.stableavatar.networks.transformer import Sizes, Transformer  # noqa: E402
from engines.stableavatar.weights import OWN, SQUARE, read_model  # noqa: E402
from harness.sample_avatar import sample_avatar  # noqa: E402
from shared.errors import StudioError  # noqa: E402
from shared.face.scripted import voice  # noqa: E402
from shared.media.colour import rgb_to_i420  # noqa: E402
from shared.media.mp4 import Mp4Writer  # noqa: E402
from tests.support.engines.stableavatar_material import Units, clip_of, tiny_weights  # noqa: E402
from training.stableavatar.__main__ import main  # noqa: E402
from training.stableavatar.changes import TrainedChanges, TunedPart, lora_layers, trained_tensors  # noqa: E402
from training.stableavatar.losses import velocity_loss, weights_of  # noqa: E402
from training.stableavatar.masks import latent_masks  # noqa: E402
from training.stableavatar.preparation import TrainingClip  # noqa: E402
from training.stableavatar.trainer import Silence, StepDraw, TransformerTrainer  # noqa: E402

FRAMES, RATE = 17, "3e-3"


@pytest.fixture(scope="module")
def weights() -> Iterator[Path]:
    with tiny_weights() as folder:
        yield folder


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one film of a speaking face, wider than high, of two windows and a little more."""
    folder = tmp_path_factory.mktemp("films")
    image = cv2.copyMakeBorder(cv2.resize(sample_avatar().roi, (256, 256)), 0, 0, 96, 32, cv2.BORDER_REPLICATE)
    with Mp4Writer(folder / "host.mp4", 384, 256, Fraction(25), sound=True) as writer:
        for number in range(2 * FRAMES + 3):
            moved = np.roll(image, number // 4, axis=1)
            writer.frame(rgb_to_i420(np.ascontiguousarray(moved, np.uint8)), index=number)
        writer.sound(voice(2.0), 0)
    return folder


@pytest.fixture(scope="module")
def trained(weights: Path, films: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a training run, and what the run printed."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("training.stableavatar.__main__._say", lines.append)
        command = [
            "x",
            str(films),
            "--out",
            str(folder),
            "--rank",
            "8",
            "--alpha",
            "8",
            "--steps",
            "40",
            "--rate",
            RATE,
        ]
        patch.setattr("sys.argv", [*command, "--device", "cpu"])
        assert main() == 0
    return folder, "\n".join(lines)


def clips(trained: tuple[Path, str]) -> list[Path]:
    return sorted((trained[0] / "prepared").glob("*.safetensors"))


def trainer(
    weights: Path, files: list[Path], kind: TunedPart = "lora", silence: Silence = "behind"
) -> TransformerTrainer:
    network = load_transformer(read_model(weights), SQUARE, torch.device("cpu"), torch.float32)
    return TransformerTrainer(TrainedChanges(network, kind, 8, 8.0), files, float(RATE), silence=silence)


def test_a_film_becomes_clips_with_masks(trained: tuple[Path, str]) -> None:
    assert [path.stem[-6:] for path in clips(trained)] == ["000000", f"{FRAMES:06d}"]
    clip = TrainingClip.read(clips(trained)[1], torch.device("cpu"))
    assert clip.latents.shape == (1, 16, 5, 4, 4) and clip.condition.shape == (1, 20, 5, 4, 4)
    assert clip.face.shape == clip.lips.shape == (5, 4, 4)
    assert float(clip.face.max()) > 0.9 and 0 < float(clip.lips.sum()) < 0.4 * float(clip.face.sum())
    assert float(clip.lips[:, 2:].sum()) > 3 * float(clip.lips[:, :2].sum()), "lips are in the lower half of a face"
    assert clip.features.shape[1] == pytest.approx(FRAMES / 25 * 50, abs=2), "it hears as long as it shows"


def test_masks_are_of_their_frames_and_everything_where_no_face_is() -> None:
    points = np.full((478, 2), 4, np.float32)
    face = np.asarray(sample_avatar().face.points[:, :2] / 8, np.float32)
    there, gone = (
        latent_masks([None, face, face, face, face], (64, 64)),
        latent_masks([face, None, *[face] * 3], (64, 64)),
    )
    for which in range(2):
        assert float(there[which][0].min()) == float(gone[which][1].min()) == 1
        assert float(there[which][1].min()) == float(gone[which][0].min()) == 0
    assert float(latent_masks([points], (64, 64))[1].sum()) < 0.1


def test_the_error_falls_and_is_printed(trained: tuple[Path, str]) -> None:
    folder, printed = trained
    measured = [float(line.rsplit("error ", 1)[1]) for line in printed.splitlines() if "measured error" in line]
    assert measured[-1] < 0.9 * measured[0], printed
    assert "step 10: loss" in printed and "step 40: loss" in printed
    sheet = cv2.imread(str(folder / "samples-000040.png"))
    assert sheet is not None and sheet.shape == (2 * 32, 6 * 32, 3)


def test_the_engine_takes_what_was_trained(trained: tuple[Path, str], weights: Path, tmp_path: Path) -> None:
    copytree(
        trained[0], weights / OWN, dirs_exist_ok=True, ignore=lambda _, names: [n for n in names if "checkp" not in n]
    )
    engine, seen = StableAvatarEngine(), set[str]()
    choices: list[dict[str, Any]] = [
        {},
        {"checkpoint": "transformer3d-checkpoint-40.pt"},
        {"lora": "lora-checkpoint-40.pt"},
    ]
    for options in choices:
        clip = clip_of(tmp_path, 9, **options)
        seen.add(Units(clip, tmp_path / str(len(seen))).all(engine.units(clip), engine))
    assert len(seen) == 3, "layers that hear and the LoRA each change the clip"


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(
    trained: tuple[Path, str], weights: Path, tmp_path: Path
) -> None:
    whole, first, second = (trainer(weights, clips(trained)) for _ in range(3))
    wanted = [whole.step() for _ in range(3)]
    first.step()
    first.save(tmp_path / "training.pt")
    second.resume(tmp_path / "training.pt")
    assert [second.step() for _ in range(2)] == wanted[1:]
    for mine, its in zip(second.changes.parameters(), whole.changes.parameters(), strict=True):
        assert torch.equal(mine, its)
    with pytest.raises(StudioError, match="it was lora of rank 8, alpha 8"):
        trainer(weights, clips(trained), "full").resume(tmp_path / "training.pt")


def test_checkpointing_changes_no_gradient(trained: tuple[Path, str], weights: Path) -> None:
    of = trainer(weights, clips(trained), "full")
    found: list[Any] = []
    for checkpointing in (True, False):
        of.changes.network.checkpointing = checkpointing
        of.optimizer.zero_grad()
        drawn = of._draw(0)
        of.loss(StepDraw(0, drawn.level, drawn.noise, True, False, 0.1)).recipe.backward()
        found.append([each.grad for each in of.changes.parameters()])
    for ours, wanted in zip(*found, strict=True):
        assert torch.allclose(ours, wanted, atol=1e-6)


def test_a_right_prediction_points_at_the_film(
    trained: tuple[Path, str], weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the engine's own rule, the wanted prediction leads from the network's noisy latents to the film."""
    of, seen = trainer(weights, clips(trained)), list[Any]()

    def judged(predicted: Any, wanted: Any, weights: Any) -> Any:
        seen.append(wanted)
        return velocity_loss(predicted, wanted, weights)

    monkeypatch.setattr("training.stableavatar.trainer.velocity_loss", judged)
    of.changes.network.patch_embedding.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    drawn = of._draw(3)
    of.loss(drawn)
    noisy, wanted = seen[0][:, :16], seen[1]
    film = TrainingClip.read(clips(trained)[drawn.clip], torch.device("cpu")).latents
    assert torch.allclose(clean_estimate(noisy, wanted, drawn.level), film, atol=1e-5)


def test_what_is_trained_at_full_size() -> None:
    with torch.device("meta"):
        network = Transformer(Sizes())
    assert len(lora_layers(network)) == 368
    full, hearing = (
        sum(network.get_parameter(name).numel() for name in trained_tensors(network, kind)) / 1e6
        for kind in ("full", "lora")
    )
    assert full == pytest.approx(1717.9, abs=0.1) and hearing == pytest.approx(183.0, abs=0.1)
    rank = sum(128 * sum(network.get_submodule(name).weight.shape) for name in lora_layers(network)) / 1e6
    assert rank == pytest.approx(202.6, abs=0.1)


def test_speech_is_left_out_behind_the_adapter_or_before(trained: tuple[Path, str], weights: Path) -> None:
    """F10: with zeros before the adapter, the adapter still learns; with zeros behind it, it learns nothing."""
    learned, heard = {}, {}
    silences: tuple[Silence, ...] = ("behind", "before")
    for silence in silences:
        of, given = trainer(weights, clips(trained), silence=silence), list[Any]()
        projector, drawn = of.changes.network.vocal_projector, of._draw(0)
        projector.register_forward_pre_hook(lambda _, each, given=given: given.append(each[0]))
        of.loss(StepDraw(0, drawn.level, drawn.noise, False, False, 0.1)).recipe.backward()
        gradient = projector.final_head.final_proj.weight.grad
        learned[silence] = gradient is not None and float(gradient.abs().max()) > 0
        heard[silence] = float(given[0].abs().max()) > 0
    assert learned == {"behind": False, "before": True}
    assert heard == {"behind": True, "before": False}


def test_the_loss_looks_at_face_lips_and_change_over_time() -> None:
    face, lips = torch.zeros(3, 2, 2), torch.zeros(3, 2, 2)
    face[:, 0], lips[:, 0, 0] = 1, 1
    assert [weights_of(name, face, lips)[0].flatten().tolist() for name in ("all", "face", "lips")] == [
        [3, 2, 1, 1],
        [1, 1, 0, 0],
        [1, 0, 0, 0],
    ]
    steady = velocity_loss(torch.ones(1, 16, 3, 2, 2), torch.zeros(1, 16, 3, 2, 2), face)
    assert float(steady.plain) == 1 and float(steady.recipe) == 0.5
    flickering = torch.tensor([1.0, -1.0, 1.0]).view(1, 1, 3, 1, 1).expand(1, 16, 3, 2, 2)
    assert float(velocity_loss(flickering, torch.zeros(1, 16, 3, 2, 2), face).recipe) == 0.5 + 0.25 * 4


def test_a_folder_without_films_is_one_sentence(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["x", str(tmp_path), "--out", str(tmp_path / "out")])
    assert main() == 1
    assert "holds no film; put films of a speaking person there" in capsys.readouterr().err


def test_masks_of_a_cut_film_follow_the_face(films: Path) -> None:
    from training.stableavatar.films import clips_of

    (clip, _) = clips_of(films / "host.mp4", FRAMES, (64, 64))
    assert clip.frames.shape == (FRAMES, 64, 64, 3) and clip.start == 0
    middle = np.mean([face.mean(axis=0) for face in clip.faces if face is not None], axis=0)
    assert np.abs(middle - 32).max() < 8, "the cut lies about the face"
