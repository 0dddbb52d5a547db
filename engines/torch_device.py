"""The device that an engine of PyTorch runs on."""

import torch

from shared.errors import StudioError


def pick_device(name: str, advice: str) -> torch.device:
    """The device of this name; "auto" is a GPU where there is one.

    advice: how to choose another, for the sentence. Raises StudioError.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):
        raise StudioError(f"There is no device '{name[:40]}' here; {advice}.") from None
    return device
