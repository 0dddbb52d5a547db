"""DH_live compared with the original.

The mouth networks of its three generations, the pipeline around one of them, and the audio network.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from engines.dhlive.crop_painter import CropPainter
from engines.dhlive.networks.audio import AudioNetwork, State, silent_state
from engines.dhlive.networks.checkpoints import load_audio, load_mouth
from engines.dhlive.networks.mini1 import Mini1Network
from engines.dhlive.networks.mini2 import Mini2Network
from engines.dhlive.networks.mini2_folded import FoldedMini2
from engines.dhlive.networks.old import OldNetwork
from tests.parity.level import Tolerance

BOUND = 1e-4
Tensors = dict[str, Tensor]
NetworkT = TypeVar("NetworkT", bound=nn.Module)


def levels(dump: Path) -> Iterator[Tolerance]:
    """Yield a level for each case of a dump that `dhlive_peer.py` wrote; the level of a missing case does not agree."""
    for name, case in CASES.items():
        level = Tolerance(name, BOUND, 0.0)
        if (dump / f"{name}.npz").is_file():
            with torch.inference_mode(), np.load(dump / f"{name}.npz", allow_pickle=False) as held:
                arrays = {key: torch.from_numpy(value) for key, value in held.items()}
                ours = case(dump / f"{name}.state.pt", arrays)
            for key, value in arrays.items():
                if not key.startswith("in/"):
                    level.check(key, value, ours.get(key, torch.empty(0)))
        yield level


def _mini2(weights: Path, given: Tensors) -> Tensors:
    network = _network(weights, Mini2Network)
    seen = _watched(
        {"motion": network.motion_encoder, "appearance": network.appearance_encoder, "final_logits": network.final_conv}
        | {f"decoder{number}": block for number, block in enumerate(network.decoder_blocks)}
        | {f"adain{number}": block.get_submodule("adain") for number, block in enumerate(network.decoder_blocks)}
    )
    style = network.style(given["in/ref"])
    network(given["in/source"], network.person(style))
    taps = {f"act/{name}": value for name, value in seen().items()}
    drawing = FoldedMini2(network)
    image = drawing(given["in/source"], drawing.person(style))
    alone = drawing(given["in/source"][:1], drawing.person(style[:1]))
    return taps | {"out/style": style, "out/image": image, "out/image_b0_single": alone}


def _pipeline(weights: Path, given: Tensors) -> Tensors:
    network = FoldedMini2(_network(weights, Mini2Network))
    edges, window = (
        np.rint(given[f"in/{name}_fusion_mask"][0, 0].numpy() * 255).astype(np.uint8) for name in ("face", "mouth")
    )
    painter = CropPainter(load_mouth(weights)[0].geometry, edges, window)
    person = network.person(given["in/style"])
    painted = painter.paint(given["in/source_rgba"], given["in/gl"], lambda source: network(source, person))
    painted[:, 3] = 1.0  # the original's crop is opaque
    return {"out/rgba": painted}


def _audio(weights: Path, given: Tensors) -> Tensors:
    network = load_audio(weights)
    mel = given["in/mel"]
    seen = _watched({"downsample": network.downsample, "lstm": network.LSTM})
    values, (hidden, cell) = network(mel, silent_state(len(mel)))
    taps = {f"act/{name}": value for name, value in seen().items()}
    return taps | {
        "out/bs": values,
        "out/hn": hidden,
        "out/cn": cell,
        "out/bs_streaming_b0": streamed(network, mel[:1]),
    }


def streamed(network: AudioNetwork, mel: Tensor) -> Tensor:
    """Run the network pair by pair: (B, 2 n, 80) -> (B, n, 6)."""
    state: State = silent_state(len(mel))
    steps = []
    for at in range(0, mel.shape[1], 2):
        step, state = network(mel[:, at : at + 2], state)
        steps.append(step)
    return torch.cat(steps, dim=1)


def _mini1(weights: Path, given: Tensors) -> Tensors:
    network = _network(weights, Mini1Network)
    features = network.features(given["in/ref"])
    return {"out/ref_feature": features, "out/image": network(given["in/source"], network.person(features))}


def _old(weights: Path, given: Tensors) -> Tensors:
    network = _network(weights, OldNetwork)
    person = network.person(given["in/ref"])
    return {"out/image": network(given["in/source"], given["in/prompt"], person)}


def _network(weights: Path, kind: type[NetworkT]) -> NetworkT:
    network = load_mouth(weights)[1]
    assert isinstance(network, kind)
    return network


def _watched(layers: dict[str, nn.Module]) -> Callable[[], Tensors]:
    """Record the outputs of these layers; call the result to stop recording and to get them, all faces together."""
    seen: dict[str, list[Tensor]] = {}

    def keep(name: str) -> Callable[[nn.Module, object, Tensor | tuple[Tensor, ...]], None]:
        def hook(_module: nn.Module, _given: object, out: Tensor | tuple[Tensor, ...]) -> None:
            seen.setdefault(name, []).append((out[0] if isinstance(out, tuple) else out).clone())

        return hook

    hooks = [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]

    def stop() -> Tensors:
        for hook in hooks:
            hook.remove()
        return {name: torch.cat(faces) for name, faces in seen.items()}

    return stop


CASES: dict[str, Callable[[Path, Tensors], Tensors]] = {
    "dinet_mini2": _mini2,
    "pipeline2": _pipeline,
    "audio2bs": _audio,
    "dinet_mini1": _mini1,
    "dinet_g0": _old,
}
