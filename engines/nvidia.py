"""Facts about this machine's NVIDIA GPUs, read from the driver without loading PyTorch."""

import subprocess
from pathlib import Path

ASK = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")
TIMEOUT_S = 10.0


def has_gpu() -> bool:
    """Whether an NVIDIA driver is present."""
    return Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists()


def gpu_memory() -> tuple[int, ...]:
    """Return the memory of each GPU in bytes; empty if it cannot be determined."""
    try:
        said = subprocess.run(ASK, capture_output=True, text=True, encoding="utf-8", timeout=TIMEOUT_S, check=True)
        return tuple(int(line) << 20 for line in said.stdout.split())
    except (OSError, ValueError, subprocess.SubprocessError):
        return ()
