"""What NVIDIA's driver says of this machine's cards, without loading PyTorch."""

import subprocess
from pathlib import Path

ASK = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")
TIMEOUT_S = 10.0


def has_gpu() -> bool:
    """Whether the driver is there."""
    return Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists()


def gpu_memory() -> tuple[int, ...]:
    """Bytes that each card has, nothing where that cannot be known."""
    try:
        said = subprocess.run(ASK, capture_output=True, text=True, encoding="utf-8", timeout=TIMEOUT_S, check=True)
        return tuple(int(line) << 20 for line in said.stdout.split())
    except (OSError, ValueError, subprocess.SubprocessError):
        return ()
