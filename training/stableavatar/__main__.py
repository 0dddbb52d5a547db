"""`python -m training.stableavatar FILMS --out FOLDER` trains StableAvatar's transformer on films of a speaking person.

Every film is cut into clips of a window (81 frames), which are encoded once and kept in FOLDER/prepared. It trains a
LoRA (368 layers, while the speech layers are trained in full) or, with --full, all blocks. The recipe is that of the
published model: flow matching, AdamW, a loss that emphasises face and lips, and no speech in a tenth of the steps.
Writes `transformer3d-checkpoint-N.pt` and `lora-checkpoint-N.pt` for the engine's options `checkpoint` and `lora`, a
sheet of samples with each, and `training.pt`, from which --resume continues.
"""

import argparse
import sys
import time
from pathlib import Path

import torch

from engines.stableavatar.loaded import quiet_libraries
from engines.stableavatar.networks.loading import load_transformer
from engines.stableavatar.weights import OWN, TRAINED, Model, read_model
from shared.errors import StudioError
from training.stableavatar.changes import TrainedChanges
from training.stableavatar.preparation import PROMPT, TrainingClip, prepare
from training.stableavatar.samples import write_sample
from training.stableavatar.trainer import RATE, TransformerTrainer

REPORTED = 10  # steps per printed line
BF16_SINCE = 8  # first major compute capability of NVIDIA GPUs that supports bfloat16
STATE = "training.pt"


def main() -> int:
    """Train as the command line specifies; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m training.stableavatar", description="Trains StableAvatar on films."
    )
    parser.add_argument("films", type=Path, help="folder of films in which one person speaks")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and samples")
    parser.add_argument("--full", action="store_true", help="tune all blocks, in place of a LoRA")
    parser.add_argument("--rank", type=int, default=128, help="rank of the LoRA")
    parser.add_argument("--alpha", type=float, default=64.0, help="alpha of the LoRA, whose scale is alpha / rank")
    parser.add_argument("--size", choices=[f"{width}x{height}" for width, height in TRAINED], help="square otherwise")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--save-every", type=int, default=500, help="steps between checkpoints")
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--prompt", default=PROMPT, help="prompt of films that have no text file with their name")
    parser.add_argument(
        "--silence",
        choices=("behind", "before"),
        default="behind",
        help="where speech is left out: behind the adapter, as in use; before it, as the published model was trained",
    )
    parser.add_argument("--begin", default="", help=f"transformer to begin with, a file in {OWN} of the weights folder")
    parser.add_argument("--device", default="", help="cuda or cpu")
    parser.add_argument("--resume", action="store_true", help=f"continue from {STATE} in the folder")
    asked = parser.parse_args()
    try:
        train(asked)
    except StudioError as error:
        print(error, file=sys.stderr)
        return 1
    except torch.OutOfMemoryError:
        print("The GPU has too little memory; train a LoRA, choose 512x512, or use a larger card.", file=sys.stderr)
        return 1
    return 0


def train(asked: argparse.Namespace) -> None:
    """Run the training. Raises StudioError."""
    quiet_libraries()
    model = read_model()
    device = training_device(asked.device, model)
    size = model.trained[0] if asked.size is None else model.size(asked.size, (1, 1))
    asked.out.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        clips = prepare(model, asked.films, asked.out / "prepared", size, asked.prompt, device, _say)
    _say(f"{len(clips)} clips of {4 * (model.span - 1) + 1} frames, {size[0]}x{size[1]}")
    file = model.transformer(size, asked.begin)
    network = load_transformer(model, file, device, _dtype(device))
    changes = TrainedChanges(network, "full" if asked.full else "lora", asked.rank, asked.alpha)
    trainer = TransformerTrainer(changes, clips, asked.rate, asked.seed, asked.silence)
    if asked.resume:
        trainer.resume(asked.out / STATE)
    count = sum(each.numel() for each in changes.parameters())
    _say(f"{count / 1e6:.1f} M numbers are trained, from step {trainer.steps}; measured error {trainer.measured():.4f}")
    rows, began = list[tuple[float, float]](), time.monotonic()
    while trainer.steps < asked.steps:
        rows.append(trainer.step())
        if trainer.steps % REPORTED == 0 or trainer.steps == asked.steps:
            recipe, plain = (sum(column) / len(rows) for column in zip(*rows, strict=True))
            seconds = (time.monotonic() - began) / len(rows)
            _say(f"step {trainer.steps}: loss {recipe:.4f}, plain error {plain:.4f}, {seconds:.1f} s a step")
            rows, began = [], time.monotonic()
        if trainer.steps % asked.save_every == 0 or trainer.steps == asked.steps:
            trainer.save(asked.out / STATE)
            written = changes.save(asked.out, trainer.steps)
            sheet = asked.out / f"samples-{trainer.steps:06d}.png"
            write_sample(network, model, TrainingClip.read(clips[0], device), sheet)
            names = " and ".join(path.name for path in written)
            _say(f"{names}, {sheet.name}; measured error {trainer.measured():.4f}")
            began = time.monotonic()
    _say(f"Put the files into {model.folder / OWN} and name them in the engine's options `checkpoint` and `lora`.")


def training_device(wanted: str, model: Model) -> torch.device:
    """Return the device to train on. Raises StudioError."""
    device = torch.device(wanted or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda" and not torch.cuda.is_available():
        raise StudioError("PyTorch finds no GPU here; leave --device out or check the driver.")
    if device.type == "cpu" and not model.tiny:
        raise StudioError("StableAvatar's networks are too large to be trained on a CPU; it needs an NVIDIA GPU.")
    return device


def _dtype(device: torch.device) -> torch.dtype:
    """Return the precision of the weights that are not trained, and of matrix products."""
    wide = device.type == "cpu" or torch.cuda.get_device_capability(device)[0] < BF16_SINCE
    return torch.float32 if wide else torch.bfloat16


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
