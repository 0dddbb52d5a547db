"""Networks that a worker has loaded for a job, kept from one unit to the next."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan
from diffusers.utils import logging as diffusers_logging
from torch import Tensor
from transformers.utils import logging as transformers_logging

from engines.stableavatar.networks.encoders import freed
from engines.stableavatar.networks.loading import load_transformer, load_vae_file
from engines.stableavatar.networks.lora import merge, read_lora
from engines.stableavatar.networks.transformer import Seen, Transformer
from engines.stableavatar.settings import StableAvatarSettings
from engines.stableavatar.weights import Model
from engines.xformers_attention import xformers_attention, xformers_problem
from shared.errors import OutOfMemoryError, StudioError
from shared.runtime.logs import get_logger

log = get_logger()
TRIED_TOKENS = 96  # of the test call that decides whether a kernel is used
BF16_SINCE = 8  # first major compute capability of NVIDIA GPUs that supports bfloat16
NO_CARD = "PyTorch finds no GPU here; unset STUDIO_STABLEAVATAR_DEVICE or check the driver."
TOO_BIG = "StableAvatar's networks are too large for a CPU; it needs an NVIDIA GPU of 8 GB or more."


def quiet_libraries() -> None:
    """Silence libraries that warn without cause and draw progress bars into the log."""
    for library in (diffusers_logging, transformers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()


class Loaded:
    """The networks that denoising needs: transformer and VAE, and the transformer's encoded text and image.

    loads: how often the transformer was loaded; once per worker and job.
    """

    def __init__(self, settings: StableAvatarSettings) -> None:
        quiet_libraries()
        self.settings, self.loads = settings, 0
        self._transformer: tuple[tuple[Any, ...], Transformer] | None = None
        self._vae: tuple[Path, AutoencoderKLWan] | None = None
        self._seen: tuple[Path, list[Seen]] | None = None

    def device(self, devices: Callable[[], tuple[str, ...]], model: Model) -> torch.device:
        """Return the device to compute on. Raises StudioError."""
        wanted = self.settings.device
        chosen = torch.device(devices()[0] if wanted == "auto" else wanted)
        if chosen.type == "cuda" and not torch.cuda.is_available():
            raise StudioError(NO_CARD)
        if chosen.type == "cpu" and not model.tiny:
            raise StudioError(TOO_BIG)
        return chosen

    def dtype(self, device: torch.device) -> torch.dtype:
        """Return the precision in which the transformer computes on the device."""
        named = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
        if self.settings.precision != "auto":
            return named[self.settings.precision]
        if device.type == "cpu":
            return torch.float32
        return torch.bfloat16 if torch.cuda.get_device_capability(device)[0] >= BF16_SINCE else torch.float16

    def transformer(
        self, model: Model, file: str, device: torch.device, small: bool, lora: tuple[str, float] = ("", 0.0)
    ) -> Transformer:
        """Return the transformer, loading it if necessary.

        small: keep its blocks in main memory while they are not computing. lora: a file, and the strength with which it
            is merged. Raises StudioError.
        """
        small = device.type != "cpu" and (small or self.settings.offload == "blocks")
        key = (model.folder, file, device, small, lora)
        if self._transformer is None or self._transformer[0] != key:
            self._seen = self._transformer = None
            with out_of_memory(device):
                home = torch.device("cpu") if small else None
                network = load_transformer(model, file, device, self.dtype(device), home)
                if lora[0]:
                    merge(network, read_lora(model.folder / lora[0], network), lora[1])
                if self.settings.acceleration == "xformers":
                    self._take_xformers(network)
                self._transformer = key, network
            self.loads += 1
            log.info("stableavatar_loaded", file=file, device=str(device), offloaded=small)
        return self._transformer[1]

    def _take_xformers(self, network: Transformer) -> None:
        tried = (1, 2, TRIED_TOKENS, network.sizes.dim // network.sizes.heads)
        if problem := xformers_problem(network.device, tried, network.dtype):
            raise StudioError(f"xFormers {problem}; set STUDIO_STABLEAVATAR_ACCELERATION=none.")
        network.attend_by(xformers_attention)

    def seen(
        self, transformer: Transformer, folder: Path, make: Callable[[], tuple[list[Tensor], Tensor]]
    ) -> list[Seen]:
        """Return the transformer's encoded text and image, computed once per job.

        folder: folder of the unit that encoded them, which identifies the job. make: returns text and image embeddings.
        """
        if self._seen is None or self._seen[0] != folder:
            self._seen = None
            self._seen = folder, transformer.see(*make())
        return self._seen[1]

    def vae(self, model: Model, device: torch.device) -> AutoencoderKLWan:
        """Return the VAE, loading it if necessary. Raises StudioError."""
        if self._vae is None or self._vae[0] != model.folder or self._vae[1].device != device:
            self._vae = None
            with out_of_memory(device):
                self._vae = model.folder, load_vae_file(model, device)
        return self._vae[1]

    def let_go(self) -> None:
        """Release transformer and VAE, to free the device's memory for networks that are needed only once."""
        held = [each[1] for each in (self._transformer, self._vae) if each is not None]
        self._transformer = self._vae = self._seen = None
        freed(*held)


@contextmanager
def out_of_memory(device: torch.device) -> Iterator[None]:
    """Context manager that turns PyTorch's out-of-memory error into OutOfMemoryError with a sentence."""
    try:
        yield
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(device).total_memory / 1e9 if device.type == "cuda" else 0
        raise OutOfMemoryError(
            f"The GPU's {total:.0f} GB are not enough for this clip; set STUDIO_STABLEAVATAR_OFFLOAD=blocks, choose a "
            "smaller size, or free some of its memory."
        ) from None
