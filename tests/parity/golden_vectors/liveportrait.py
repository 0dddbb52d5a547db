"""`python -m tests.parity.golden_vectors.liveportrait CHECKOUT`: write golden vectors of LivePortrait's own code.

They are small, and from commit 1986663.

Every network has a small size and weights that follow from names and shapes (`tests.parity.ruled`), so that a test
needs neither the original nor a weight file. Writes tests/engines/liveportrait/golden.npz.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.parity.ruled import samples, state, uniform

OUT = Path(__file__).parents[2] / "engines" / "liveportrait" / "golden.npz"
FRAME, VOLUME, MAP = (2, 3, 64, 64), (2, 8, 4, 16, 16), (2, 32, 16, 16)
# Our networks' sizes; `small_original` builds the same from the original's classes.
SIZES: dict[str, dict[str, Any]] = {
    "appearance": {"width": 8, "channels": 8, "depth": 4, "residuals": 2},
    "motion": {"depths": (1, 1, 2, 1), "widths": (8, 16, 24, 32)},
    "warping": {"width": 8, "channels": 8, "depth": 4, "sizes": (16, 32, 64)},
    "decoder": {"width": 8},
}
INPUTS = {"stitching": 126, "lips": 65, "eyes": 66}


def inputs(name: str) -> tuple[torch.Tensor, ...]:
    """Return a network's inputs."""
    if name in INPUTS:
        return (torch.from_numpy(0.8 * uniform("x", (3, INPUTS[name]))),)
    if name == "warping":
        source, driving = (torch.from_numpy(uniform(side, (2, 21, 3))) for side in ("source", "driving"))
        return torch.from_numpy(uniform("volume", VOLUME)), 0.7 * source, 0.7 * source + 0.3 * driving
    if name == "decoder":
        return (torch.from_numpy(uniform("map", MAP)),)
    return (torch.from_numpy(0.5 + 0.5 * uniform("picture", FRAME)),)


def small_original() -> dict[str, torch.nn.Module]:
    """Return the original's own networks at the sizes of SIZES."""
    from src.modules.appearance_feature_extractor import AppearanceFeatureExtractor  # type: ignore[import-not-found]
    from src.modules.convnextv2 import ConvNeXtV2  # type: ignore[import-not-found]
    from src.modules.spade_generator import SPADEDecoder  # type: ignore[import-not-found]
    from src.modules.stitching_retargeting_network import (  # type: ignore[import-not-found]
        StitchingRetargetingNetwork,
    )
    from src.modules.warping_network import WarpingNetwork  # type: ignore[import-not-found]

    motion = torch.nn.Module()
    motion.detector = ConvNeXtV2(depths=[1, 1, 2, 1], dims=[8, 16, 24, 32], num_kp=21)
    motion.forward = motion.detector.forward
    dense = {"block_expansion": 8, "max_features": 64, "num_blocks": 3, "reshape_depth": 4, "compress": 4}
    return {
        "appearance": AppearanceFeatureExtractor(3, 8, 2, 32, 8, 4, 2),
        "motion": motion,
        "warping": WarpingNetwork(21, 8, 32, 2, 8, estimate_occlusion_map=True, dense_motion_params=dense),
        "decoder": SPADEDecoder(upscale=2, max_features=32, block_expansion=8, out_channels=8, num_down_blocks=2),
        "stitching": StitchingRetargetingNetwork(126, [128, 128, 64], 65),
        "lips": StitchingRetargetingNetwork(65, [128, 128, 64], 63),
        "eyes": StitchingRetargetingNetwork(66, [256, 256, 128, 128, 64], 63),
    }


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    held: dict[str, Any] = {}
    for name, net in small_original().items():
        net.load_state_dict(state({key: tuple(value.shape) for key, value in net.state_dict().items()}))
        given = inputs(name)
        with torch.no_grad():
            if name == "warping":
                volume, source, driving = given
                out = net.eval()(volume, kp_source=source, kp_driving=driving)
            else:
                out = net.eval()(*given)
        outputs = out if isinstance(out, dict) else {"out": out}
        held |= {f"{name} {key}": samples(value) for key, value in outputs.items()}
    np.savez_compressed(OUT, **held)
    print(f"{OUT}: {', '.join(f'{key} {np.abs(value).mean():.2f}' for key, value in held.items())}")


if __name__ == "__main__":
    main()
