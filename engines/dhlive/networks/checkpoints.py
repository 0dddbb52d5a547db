"""The published checkpoints: recognised by their keys, and loaded unchanged."""

import zipfile
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from engines.dhlive.file_names import AUDIO, MOUTHS, OLD_AUDIO
from engines.dhlive.generation import Generation
from engines.dhlive.networks.audio import AudioNetwork
from engines.dhlive.networks.mini1 import Mini1Network
from engines.dhlive.networks.mini2 import Mini2Network
from engines.dhlive.networks.old import OldNetwork
from shared.errors import StudioError
from shared.weights.checkpoint import StateDict, check_state, load_state

MouthNetwork = Mini2Network | Mini1Network | OldNetwork
NETWORKS: dict[Generation, type[MouthNetwork]] = {
    Generation.MINI2: Mini2Network,
    Generation.MINI1: Mini1Network,
    Generation.OLD: OldNetwork,
}
STYLE_KEY, MOTION_KEY, AUDIO_KEY = (
    "decoder_blocks.0.adain.mlp.0.weight",
    "adaAT.translation.0.weight",
    "LSTM.weight_ih_l0",
)
ROWS = {40: Generation.MINI1, 512: Generation.OLD}  # number of rows of MOTION_KEY

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def generation_of(state: StateDict) -> Generation | None:
    """Return the generation of the mouth network in a checkpoint; None if it contains none."""
    if STYLE_KEY in state:
        return Generation.MINI2
    rows = state[MOTION_KEY].shape[0] if MOTION_KEY in state else 0
    return ROWS.get(rows)


def recognised(path: Path) -> str:
    """Return which of the manifest's files a checkpoint is, "" if none.

    The audio networks of the mini generations and of the old one have the same keys. They are distinguished by the name
    that the file, or the archive in it, was saved under. Raises StudioError if the file cannot be loaded.
    """
    state = load_state(path)
    if (generation := generation_of(state)) is not None:
        return MOUTHS[generation]
    if AUDIO_KEY not in state:
        return ""
    names = [path.stem]
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names.insert(0, archive.namelist()[0].split("/")[0])
    return next((OLD_AUDIO for name in names if name == Path(OLD_AUDIO).stem), AUDIO)


def load_mouth(path: Path) -> tuple[Generation, MouthNetwork]:
    """Return a file's mouth network, in evaluation mode, and its generation. Raises StudioError in one sentence."""
    state = load_state(path)
    generation = generation_of(state)
    if generation is None:
        raise StudioError(
            f"{path} holds no mouth network of DH_live; `studio weights list` shows which file is needed."
        )
    return generation, filled(NETWORKS[generation], state, path)


def load_old(path: Path) -> OldNetwork:
    """Load the old network in evaluation mode. Raises StudioError in one sentence."""
    network = load_mouth(path)[1]
    if not isinstance(network, OldNetwork):
        raise StudioError(
            f"{path} is a network of another generation; `studio weights add` puts each file in its place."
        )
    return network


def load_audio(path: Path) -> AudioNetwork:
    """Load an audio network in evaluation mode. Raises StudioError in one sentence."""
    return filled(AudioNetwork, load_state(path), path)


def filled(kind: type[NetworkT], state: StateDict, path: Path) -> NetworkT:
    """Return a network with these weights. Raises StudioError if they do not fit."""
    with torch.device("meta"):
        net: NetworkT = kind()
    wanted = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    net.load_state_dict(check_state(state, wanted, str(path)), strict=True, assign=True)
    net.eval().requires_grad_(False)
    return net
