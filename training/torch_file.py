"""PyTorch files, written completely or not at all."""

from pathlib import Path
from typing import Any

import torch

from shared.errors import StudioError


def write_torch(held: Any, path: Path) -> Path:
    """Write a file with torch.save and return its path. Raises StudioError."""
    part = path.with_name(f".{path.name}.part")
    try:
        torch.save(held, part)
        part.replace(path)
    except (OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        raise StudioError(f"{path} cannot be written ({str(error)[:80]}); choose another place.") from None
    return path
