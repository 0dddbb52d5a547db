"""The `personalive` engine: a streaming diffusion model of a talking portrait, live and offline."""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from engines.api import DEFAULT_CONTEXT, EngineInfo, FrameEngine, SessionContext, Unavailable
from engines.nvidia import has_gpu
from engines.personalive.options import PersonaLiveOptions
from engines.personalive.quality import AUTO, NO_SMALL_DECODER, SMALL_DECODER, below, rung
from engines.personalive.settings import Acceleration, PersonaLiveSettings
from shared.avatar.model import Avatar
from shared.errors import OutOfMemoryError, StudioError
from shared.weights.manifest import OFFICIAL, weights_folder

if TYPE_CHECKING:
    from engines.personalive.networks.networks import PersonaLiveNetworks
    from engines.personalive.session import PersonaLiveSession

NAME = "personalive"
NEEDED = ("torch", "diffusers", "transformers")
NO_TORCH = "PersonaLive needs {}, which is not installed here; `make setup-torch` installs it."
NO_GPU = "PersonaLive needs an NVIDIA GPU, of 12 GB or more, and none was found; choose mesh or another machine."
TINY = 64  # channels of a first layer up to which a CPU is sufficient; only networks for tests have so few
INFO = EngineInfo(
    name=NAME,
    title="PersonaLive",
    inputs=frozenset({"motion"}),
    frames_per_step=4,
    frames_held=15,
    needs_image=True,
    depends_on="frames",
)


class PersonaLiveEngine(FrameEngine):
    """Engine that moves a portrait by a driver's face and keeps its hair, light and depth. Needs a GPU."""

    info = INFO
    Settings = PersonaLiveSettings
    Options = PersonaLiveOptions
    weights_manifest = OFFICIAL / "personalive.toml"

    def settings(self) -> PersonaLiveSettings:
        return PersonaLiveSettings.load()

    def probe(self) -> Unavailable | None:
        if absent := next((name for name in NEEDED if find_spec(name) is None), None):
            return Unavailable(NO_TORCH.format(absent), "make setup-torch")
        if problem := super().probe():
            return problem
        return None if has_gpu() or is_tiny(weights_folder()) else Unavailable(NO_GPU)

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> "PersonaLiveSession":
        self.check()
        from engines.personalive.session import PersonaLiveSession

        settings, options, small = self.settings(), context.options or self.options(), context.low_memory
        assert isinstance(options, PersonaLiveOptions)
        networks = shared_networks(weights_folder(), settings.device, settings.acceleration)
        chosen = rung(options.quality)
        if chosen.name == SMALL_DECODER and networks.small_vae is None:
            raise StudioError(NO_SMALL_DECODER)
        while True:
            try:
                return PersonaLiveSession(avatar, networks, options, chosen, small)
            except OutOfMemoryError:
                lower = below(chosen, networks.small_vae is not None) if options.quality == AUTO and small else None
                if lower is None:
                    raise
                chosen = lower


def is_tiny(folder: Path) -> bool:
    """Whether the weights are those of networks so small that a CPU is sufficient."""
    try:
        config = json.loads((folder / "sd-image-variations-diffusers/unet/config.json").read_text(encoding="utf-8"))
        return int(config["block_out_channels"][0]) <= TINY
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return False


@cache
def shared_networks(folder: Path, device: str, acceleration: Acceleration) -> "PersonaLiveNetworks":
    """Return the networks, loaded once and shared by all portraits. Raises StudioError."""
    import torch

    from engines.personalive.acceleration import accelerate, acceleration_refusal
    from engines.personalive.networks.loading import load_networks

    chosen = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise StudioError("PyTorch finds no GPU here; unset STUDIO_PERSONALIVE_DEVICE or check the driver.")
    if chosen.type == "cpu" and not is_tiny(folder):
        raise StudioError(NO_GPU)
    if reason := acceleration_refusal(acceleration, chosen):
        raise StudioError(reason)
    dtype = torch.float16 if chosen.type == "cuda" else torch.float32
    try:
        networks = load_networks(folder, chosen, dtype)
        accelerate(networks, acceleration)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        raise OutOfMemoryError("The GPU has too little memory for PersonaLive's networks (6 GB); free some.") from None
    return networks
