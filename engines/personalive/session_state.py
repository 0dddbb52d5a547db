"""The window's state as plain arrays, with which the next segment of a render continues with the same frames."""

import numpy as np
import torch
from torch import Tensor

from engines.personalive.head_pose import HeadPose
from engines.personalive.streams import begin_fetch
from engines.personalive.transfer import Transfer
from engines.personalive.window import DenoisingWindow
from shared.runtime.arrays import StateArrays

OF_WINDOW = ("latents", "poses", "motions", "keyframes")
OF_NEUTRAL = ("angles", "shift", "scale", "points")


def saved_window(window: DenoisingWindow) -> StateArrays:
    """Return the window's state as arrays.

    Keyframes are stored as latents; the networks compute their keys and values again on restoring.
    """
    known = torch.cat([each() for each in window.known])
    return _arrays({name: getattr(window, name) for name in OF_WINDOW} | {"known": known})


def saved_transfer(transfer: Transfer) -> StateArrays:
    """Return the state of a transfer that has processed its first chunk."""
    neutral, rest = transfer.head.neutral, transfer.rest
    assert neutral is not None and rest is not None
    return _arrays({f"neutral_{name}": getattr(neutral, name) for name in OF_NEUTRAL} | {"rest": rest})


def restore_window(window: DenoisingWindow, state: StateArrays) -> None:
    """Restore the state into a new window."""
    tensors = {name: torch.from_numpy(np.array(state[name])) for name in (*OF_WINDOW, "known")}
    device = window.latents.device
    window.latents, window.poses, window.motions = (tensors[name].to(device) for name in OF_WINDOW[:3])
    window.note_motions(window.motions)
    window.known = [begin_fetch(each) for each in tensors["known"].split(1)]
    for keyframe in tensors["keyframes"].to(device):
        window.add_keyframe(keyframe[None])


def restore_transfer(transfer: Transfer, state: StateArrays) -> None:
    """Restore the state into a new transfer."""
    device = transfer.head.own.angles.device
    names = ("rest", *(f"neutral_{name}" for name in OF_NEUTRAL))
    transfer.rest, *neutral = (torch.from_numpy(np.array(state[name])).to(device) for name in names)
    transfer.head.neutral = HeadPose(*neutral)


def _arrays(tensors: dict[str, Tensor]) -> StateArrays:
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
