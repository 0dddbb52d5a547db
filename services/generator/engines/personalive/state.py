"""The window's state as plain arrays, from which the next segment of a render goes on with the same frames."""

import numpy as np
import torch
from numpy.typing import NDArray

from services.generator.engines.personalive.head_pose import HeadPose
from services.generator.engines.personalive.transfer import Transfer
from services.generator.engines.personalive.window import Window

State = dict[str, NDArray[np.generic]]
OF_WINDOW = ("latents", "poses", "motions", "known")
OF_NEUTRAL = ("angles", "shift", "scale", "points")


def saved(window: Window, transfer: Transfer) -> State:
    """Of a window that has taken its first chunk. Keyframes are kept as latents: what the networks make of them is
    made again."""
    neutral, rest = transfer.head.neutral, transfer.rest
    assert neutral is not None and rest is not None
    tensors = {name: getattr(window, name) for name in (*OF_WINDOW, "keyframes")}
    tensors |= {f"neutral_{name}": getattr(neutral, name) for name in OF_NEUTRAL} | {"rest": rest}
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}


def restored(window: Window, transfer: Transfer, state: State) -> None:
    """Give a fresh window and transfer the state."""
    device = window.latents.device
    tensors = {
        name: torch.from_numpy(np.array(state[name])).to(device)
        for name in (*OF_WINDOW, "keyframes", "rest", *(f"neutral_{name}" for name in OF_NEUTRAL))
    }
    for name in OF_WINDOW:
        setattr(window, name, tensors[name])
    for keyframe in tensors["keyframes"]:
        window.add_keyframe(keyframe[None])
    transfer.rest = tensors["rest"]
    transfer.head.neutral = HeadPose(*(tensors[f"neutral_{name}"] for name in OF_NEUTRAL))
