"""The device that a PyTorch engine runs on."""

import torch

from shared.errors import StudioError


def pick_device(name: str, advice: str) -> torch.device:
    """Return the device of this name; "auto" selects a GPU if there is one, else the CPU.

    advice: how to choose another device, used in the error sentence. Raises StudioError if the device does not exist.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):
        raise StudioError(f"This machine has no device '{name[:40]}'; {advice}.") from None
    return device
