"""Shared material of LivePortrait's tests: narrow networks whose weights follow from their names, and a driver."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from engines.api import Driving
from engines.liveportrait.engine import LivePortraitEngine
from engines.liveportrait.networks.networks import LivePortraitNetworks
from engines.liveportrait.session import LivePortraitSession
from engines.liveportrait.settings import LivePortraitSettings
from harness.sample_avatar import sample_avatar
from harness.tiny.liveportrait import NARROW
from shared.avatar.model import Avatar
from shared.avatar.plate import Plate, save_index
from shared.face.landmarks import Face
from shared.weights.checkpoint import fold_spectral_norm
from tests.parity.ruled import published_shapes, state

MS = 1_000

torch.set_num_threads(1)  # more threads gain nothing in narrow networks, and wait for each other on a busy machine


def networks(dtype: torch.dtype = torch.float32) -> LivePortraitNetworks:
    """Return narrow networks, ready to run on the CPU."""
    nets = LivePortraitNetworks.empty(NARROW)
    for name in ("appearance", "motion", "warping", "decoder", "stitching", "lips", "eyes"):
        net = getattr(nets, name)
        net.load_state_dict(fold_spectral_norm(state(published_shapes(net))))
    for small in (nets.stitching, nets.lips, nets.eyes):
        small.mlp[-1].weight.data *= 0.02
        small.mlp[-1].bias.data *= 0.02
    nets.prepare(torch.device("cpu"), dtype)
    return nets


@cache
def avatar(own_plate: bool = True) -> Avatar:
    return sample_avatar(own_plate)


def swaying_body(folder: Path) -> Avatar:
    """Make a body that sways: the portrait's face on a plate of four frames, in another light.

    The plate's openings mark its eyes and mouth as open in some frames and closed in others.
    """
    frames, size = 4, (640, 720)
    jpegs, placements = [], []
    for i in range(frames):
        placement = np.array([[0.8, -0.02 * i, 60.0 + 12 * i], [0.02 * i, 0.8, 90.0]])
        frame = cv2.warpAffine(avatar().roi, placement, size, borderMode=cv2.BORDER_REPLICATE)
        jpegs.append(cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
        placements.append(placement)
    (folder / "plate.mjpg").write_bytes(b"".join(jpegs))
    save_index(
        folder, width=size[0], height=size[1], fps=25, sizes=[len(jpeg) for jpeg in jpegs],
        placements=np.stack(placements), gains=np.full((frames, 3), 0.9), offsets=np.full((frames, 3), 4.0),
        openings=np.array([[0.3, 0.28, 0.0], [0.2, 0.2, 0.1], [0.04, 0.05, 0.2], [0.25, 0.3, 0.01]], np.float32),
    )  # fmt: skip
    return replace(avatar(own_plate=False), plate=Plate.load(folder))


def session(
    nets: LivePortraitNetworks | None = None, own_plate: bool = True, settings: LivePortraitSettings | None = None
) -> LivePortraitSession:
    return LivePortraitSession(avatar(own_plate), nets or networks(), settings or LivePortraitSettings())


def move(number: int) -> NDArray[np.float64]:
    """Return the 2x3 movement of the driver's head in a frame: none in frame 0."""
    angle, scale = 0.1 * np.sin(number / 3), 1 + 0.05 * np.sin(number / 4)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[c, -s], [s, c]])
    middle = np.array([256.0, 256.0])
    return np.column_stack([linear, middle - linear @ middle + (4 * np.sin(number / 5), 3 * np.sin(number / 2))])


def driving(pts: int, number: int | None, neutral: int = 0) -> Driving:
    """Return frame `number` of a driver who moves, at `pts`; without a number it has no face."""
    roi, face = avatar().roi, avatar().face
    if number is None:
        return Driving(pts, None, None, roi)
    frame = np.asarray(cv2.warpAffine(roi, move(number), (512, 512), borderMode=cv2.BORDER_REFLECT_101), np.uint8)
    return Driving(pts, _moved(face, number), _moved(face, neutral), frame)


def _moved(face: Face, number: int) -> Face:
    return face.moved(move(number)) if number else face


class NarrowEngine(LivePortraitEngine):
    """The engine with narrow networks, for which no weights are needed; reached by the setting `engines`."""

    def probe(self) -> None:
        return None

    def _loaded(self, low_memory: bool) -> tuple[LivePortraitNetworks, LivePortraitSettings]:
        return networks(), self.settings()
