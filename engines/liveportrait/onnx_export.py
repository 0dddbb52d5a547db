"""`python -m engines.liveportrait.onnx_export FOLDER` exports the networks as ONNX files for other runtimes.

Opset 20, the first whose GridSample takes volumes. Files: appearance, motion, and `draw`, warping and decoding in one,
so that the feature map never leaves the runtime. What a runtime gives for them equals PyTorch to rounding (tested with
onnxruntime on a CPU). The three retargeting networks are too small to be worth a file.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from engines.liveportrait.engine import NAME
from engines.liveportrait.motion.keypoints import POINTS
from engines.liveportrait.networks.networks import LivePortraitNetworks
from shared.errors import StudioError
from shared.weights.manifest import weights_folder

OPSET = 20
FILES = ("appearance", "motion", "draw")


class DrawNetwork(nn.Module):
    """Network from feature volume and keypoints to the image, (1, 3, 512, 512) RGB 0..1."""

    def __init__(self, networks: LivePortraitNetworks) -> None:
        super().__init__()
        self.warping, self.decoder = networks.warping, networks.decoder

    def forward(self, volume: Tensor, source: Tensor, driving: Tensor) -> Tensor:
        image: Tensor = self.decoder(self.warping(volume, source, driving).out)
        return image


class Heads(nn.Module):
    """The motion extractor's output heads as a tuple in a fixed order."""

    def __init__(self, networks: LivePortraitNetworks) -> None:
        super().__init__()
        self.motion = networks.motion

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.motion(image).values())


def export(networks: LivePortraitNetworks, folder: Path) -> list[Path]:
    """Write the files and return their paths.

    networks: in float32 on the CPU. Raises StudioError if the exporter is not installed.
    """
    image = torch.zeros(1, 3, 256, 256)
    with torch.inference_mode():
        volume = networks.appearance(image)
    points = torch.zeros(1, POINTS, 3)
    heads = list(networks.motion.detector.heads)
    jobs: tuple[tuple[str, nn.Module, tuple[Tensor, ...], list[str], list[str]], ...] = (
        ("appearance", networks.appearance, (image,), ["image"], ["volume"]),
        ("motion", Heads(networks), (image,), ["image"], heads),
        ("draw", DrawNetwork(networks), (volume.clone(), points, points), ["volume", "source", "driving"], ["image"]),
    )
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, net, given, inputs, outputs in jobs:
        path = folder / f"{name}.onnx"
        try:
            torch.onnx.export(
                net.eval(),
                given,
                str(path),
                input_names=inputs,
                output_names=outputs,
                opset_version=OPSET,
                dynamo=False,
            )
        except ImportError as error:
            raise StudioError(f"The export needs {error.name}; install it with `pip install {error.name}`.") from None
        written.append(path)
    return written


def main() -> int:
    """Export the networks into the folder named on the command line; return the exit code."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    try:
        networks = LivePortraitNetworks.load(weights_folder() / NAME)
        networks.warping.fuse()
        networks.decoder.fuse()
        for path in export(networks, Path(sys.argv[1])):
            print(path)
    except StudioError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
