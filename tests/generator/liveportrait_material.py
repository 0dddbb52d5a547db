"""What LivePortrait's tests share: narrow networks whose weights follow from their names, and a driver."""

from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.engine import sample_avatar
from services.generator.engine import Driving
from services.generator.engines.liveportrait.engine import LivePortraitEngine
from services.generator.engines.liveportrait.networks import Networks
from services.generator.engines.liveportrait.session import LivePortraitSession
from services.generator.engines.liveportrait.settings import LivePortraitSettings
from shared.avatar import Avatar
from shared.checkpoint import fold_spectral_norm
from shared.face import Face
from tests.parity.ruled import published_shapes, state

NARROW = {
    "appearance": {"width": 4, "channels": 8, "depth": 2, "residuals": 1},
    "motion": {"depths": (1, 1, 1, 1), "widths": (8, 8, 8, 16)},
    "warping": {"width": 4, "channels": 8, "depth": 2, "compress": 1, "sizes": (4, 8)},
    "decoder": {"width": 4, "hidden": 8},
}
MS = 1_000

torch.set_num_threads(1)  # narrow networks gain nothing from more, and on a busy machine they wait for each other


def networks(dtype: torch.dtype = torch.float32) -> Networks:
    """Narrow ones, ready to run on the CPU."""
    nets = Networks.empty(NARROW)
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


def session(
    nets: Networks | None = None, own_plate: bool = True, settings: LivePortraitSettings | None = None
) -> LivePortraitSession:
    return LivePortraitSession(avatar(own_plate), nets or networks(), settings or LivePortraitSettings())


def move(number: int) -> NDArray[np.float64]:
    """Where the driver's head is in a frame: at home in frame 0."""
    angle, scale = 0.1 * np.sin(number / 3), 1 + 0.05 * np.sin(number / 4)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[c, -s], [s, c]])
    middle = np.array([256.0, 256.0])
    return np.column_stack([linear, middle - linear @ middle + (4 * np.sin(number / 5), 3 * np.sin(number / 2))])


def driving(pts: int, number: int | None, neutral: int = 0) -> Driving:
    """Frame `number` of a driver who moves, at `pts`; without a number there is nobody."""
    roi, face = avatar().roi, avatar().face
    if number is None:
        return Driving(pts, None, None, roi)
    picture = np.asarray(cv2.warpAffine(roi, move(number), (512, 512), borderMode=cv2.BORDER_REFLECT_101), np.uint8)
    return Driving(pts, _moved(face, number), _moved(face, neutral), picture)


def _moved(face: Face, number: int) -> Face:
    return face.moved(move(number)) if number else face


class NarrowEngine(LivePortraitEngine):
    """The engine with narrow networks, for which no weights are needed; reached by the setting `engines`."""

    def unavailable(self) -> str | None:
        return None

    def _loaded(self, small: bool) -> tuple[Networks, LivePortraitSettings]:
        return networks(), LivePortraitSettings()
