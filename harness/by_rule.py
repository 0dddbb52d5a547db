"""Weights by rule: every tensor of a network is a function of its name alone.

Two processes have the same ones with no file between them. What they produce is noise with the magnitudes of a trained
network's values: matrices are scaled by their inputs, scales lie near 1, offsets near 0.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import nn

TABLES = ("pe", "pos_embed", "idx_tensor", "position_ids", "num_batches_tracked")  # stay as the network made them
GAIN = 0.5  # of a matrix: less than 1, or a deep untrained network amplifies every rounding
CALM = 0.02  # of the last layer: an untrained network predicts no noise, and dividing by its level would blow it up
STILL = 0.02  # of the heads that place the head: its key points then lie about where a face's would


def seeded(name: str, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Normal numbers that depend on a name only."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(shape)


def by_rule(network: Any, name: str) -> Any:
    """The network, in its own precision and on its own device, with every tensor from its name."""

    def fill(entry: tuple[str, torch.Tensor]) -> None:
        key, tensor = entry
        if tensor.is_floating_point() and key.rsplit(".", 1)[-1] not in TABLES:
            with torch.no_grad():
                tensor.copy_(torch.from_numpy(_values(f"{name}/{key}", tuple(tensor.shape))))

    with ThreadPoolExecutor() as pool:  # numpy lets go of the interpreter: gigabytes take seconds
        list(pool.map(fill, network.state_dict().items()))
    return network


def _values(name: str, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.floating[Any]]]:
    normal, leaf = np.asarray(seeded(name, shape)), name.rsplit(".", 1)[-1]
    if leaf == "running_var":
        return 1 + 0.2 * abs(normal)
    if len(shape) > 1 and leaf != "gamma":
        return np.asarray(normal * (GAIN / np.sqrt(np.prod(shape[1:]))))
    return 1 + 0.1 * normal if leaf == "weight" else 0.05 * normal


def calmed(denoising: nn.Module) -> Any:
    """The denoising network, predicting next to no noise."""
    with torch.no_grad():
        denoising.get_submodule("conv_out").get_parameter("weight").mul_(CALM)
    return denoising


def place_key_points(extractor: Any) -> Any:
    """The motion extractor, its key points a face's in the middle of the frame, moved a little by what is seen."""
    heads = extractor.detector
    spread = torch.from_numpy(np.clip(seeded("points", (63,)) * 0.2, -0.4, 0.4))
    with torch.no_grad():
        heads.fc_kp.bias.copy_(spread)
        heads.fc_scale.bias.fill_(1.0)
        for head in (heads.fc_kp, heads.fc_scale, heads.fc_t):
            head.weight.mul_(STILL)
        for head in (heads.fc_pitch, heads.fc_yaw, heads.fc_roll):
            head.bias.copy_(-((torch.arange(66.0) - 32.5) ** 2) / 20)
    return extractor
