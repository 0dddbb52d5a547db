"""Masks of face and lips in latent frames, which the loss emphasises."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.stableavatar.networks.audio_adapter import PER_LATENT
from shared.face.landmarks import OVAL

LIP_OUTLINE = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
LATENT_PX = 8
Outline = NDArray[np.float32]


def filled_outline(points: Outline, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return how much of each latent pixel is within a polygon, (height, width) in 0..1.

    points: (n, 2) pixels of the polygon. size: width, height in pixels.
    """
    width, height = size
    drawn = np.zeros((height, width), np.uint8)
    cv2.fillPoly(drawn, [points.round().astype(np.int32)], (255,))
    small = cv2.resize(drawn, (width // LATENT_PX, height // LATENT_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small / np.float32(255), np.float32)


def latent_masks(faces: Sequence[Outline | None], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return masks of face and of lips, (latent frames, h, w) float32 in 0..1 each.

    A latent frame's mask is the maximum over its video frames. faces: (478, 2) points in pixels of each video frame,
    for a whole number of latent frames; a frame without a face counts as mask everywhere, as in the original's data.
    size: width, height in pixels.
    """
    everywhere = np.ones((size[1] // LATENT_PX, size[0] // LATENT_PX), np.float32)
    found = []
    for outline in (OVAL, LIP_OUTLINE):
        each = [everywhere if face is None else filled_outline(face[list(outline)], size) for face in faces]
        groups = [each[:1], *(each[at : at + PER_LATENT] for at in range(1, len(each), PER_LATENT))]
        found.append(torch.from_numpy(np.stack([np.max(group, axis=0) for group in groups])))
    return found[0], found[1]
