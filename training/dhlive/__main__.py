"""`python -m training.dhlive FILM --out FOLDER` trains a person's own mouth network from a film in which they speak.

Writes `mouth.pth`, which `studio weights add dhlive` accepts, and a sheet of samples after every pass: painted, drawn
and filmed. The original's recipe is 40 passes with batches of 6 over films of several persons. A film of one minute
takes about three hours, at a fifth of a second per frame and pass on a CPU core. Without --vgg, a file of torchvision's
vgg19 weights, the perceptual loss is omitted.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import torch

from shared.errors import StudioError
from training.dhlive.film_samples import FilmSamples
from training.dhlive.losses import Perception
from training.dhlive.trainer import BATCH, CONSTANT, FALLING, Trainer

SHOWN = 6


def main() -> int:
    """Train as the command line specifies; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.dhlive", description="Trains a person's own mouth.")
    parser.add_argument("film", type=Path, help="a film in which one person speaks")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint and the samples")
    parser.add_argument("--passes", type=int, default=CONSTANT + FALLING)
    parser.add_argument("--frames", type=int, default=3000, help="of the film, at most")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--begin", type=Path, help="weights to begin with, such as the published ones")
    parser.add_argument("--vgg", type=Path, help="torchvision's vgg19 weights, for the perceptual loss")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the folder")
    asked = parser.parse_args()
    try:
        train(asked)
    except StudioError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def train(asked: argparse.Namespace) -> None:
    """Run the training. Raises StudioError."""
    asked.out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(perception=None if asked.vgg is None else Perception(asked.vgg))
    if asked.vgg is None:
        print("without VGG19's weights: L1 and adversarial losses alone", flush=True)
    if asked.begin is not None:
        trainer.begin_from(asked.begin)
    checkpoint = asked.out / "mouth.pth"
    if asked.resume:
        trainer.resume(checkpoint)
    samples = FilmSamples.of_film(asked.film, asked.frames)
    print(f"{len(samples)} frames of {asked.film.name}", flush=True)
    while trainer.passes < asked.passes:
        losses = trainer.run_pass(samples, asked.batch)
        trainer.save(checkpoint)
        write_samples(trainer, samples, asked.out / f"samples-{trainer.passes:03d}.png")
        print(
            f"pass {trainer.passes}: pixels {losses.pixels:.4f}, adversarial {losses.adversarial:.4f}, judge"
            f" {losses.judge:.4f}, perception {losses.perception:.4f}",
            flush=True,
        )


def write_samples(trainer: Trainer, samples: FilmSamples, path: Path) -> None:
    """Write a sheet with six frames of the film, each painted, drawn and filmed."""
    numbers = np.linspace(0, len(samples) - 1, SHOWN).astype(np.int64)
    source, references, target = samples.batch(numbers, np.random.default_rng(0))
    with torch.inference_mode():
        drawn = trainer.draw(source, references)
    rows = torch.cat([torch.cat(list(each), dim=2) for each in (source, drawn, target)], dim=1)
    image = (rows.permute(1, 2, 0) * 255).round().byte().numpy()
    cv2.imwrite(str(path), np.ascontiguousarray(image[..., ::-1]))


if __name__ == "__main__":
    sys.exit(main())
