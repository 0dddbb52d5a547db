"""LivePortrait compared with the original: its networks, its wrapper's calls, its maths, its whole loop."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engines.liveportrait.motion.keypoints import motions
from engines.liveportrait.networks.networks import LivePortraitNetworks
from tests.parity.level import Tolerance
from tests.parity.liveportrait_loop import loop, to_bytes
from tests.parity.liveportrait_maths import maths, ratios

CaseArrays = Mapping[str, NDArray[Any]]
TAP = "tap:"


def levels(dump: Path) -> Iterator[Tolerance]:
    """Yield the four levels of a dump that `liveportrait_peer.py` wrote."""
    networks = LivePortraitNetworks.load(dump / "pretrained_weights" / "liveportrait")
    with torch.inference_mode():
        yield modules(dump, networks)
        yield wrapper(dump, networks)
        yield maths(dump)
        networks.prepare(torch.device("cpu"), torch.float32)  # from here on as the engine runs them
        yield loop(dump, networks)


def _output(net: Any, given: torch.Tensor) -> dict[str, Any]:
    return {"out": net(given)}


def modules(dump: Path, networks: LivePortraitNetworks) -> Tolerance:
    """Compare each network separately, and the outputs of its layers, with the recording."""
    level = Tolerance("modules", 1e-5, 1e-4)
    frames = torch.from_numpy(arrays(dump, "inputs/images")["x"])
    run(level, dump, "F", networks.appearance, lambda net: {"out": net(frames)})
    run(level, dump, "M", networks.motion, lambda net: net(frames))
    for path in sorted((dump / "inputs").glob("W_*.npz")):
        given = {name: torch.from_numpy(value) for name, value in arrays(dump, f"inputs/{path.stem}").items()}
        run(level, dump, path.stem, networks.warping, partial(_warped, given=given))
    for path in sorted((dump / "inputs").glob("G_*.npz")):
        feature = torch.from_numpy(arrays(dump, f"inputs/{path.stem}")["feature"])
        run(level, dump, path.stem, networks.decoder, partial(_output, given=feature))
    for name, net in (("stitching", networks.stitching), ("lip", networks.lips), ("eye", networks.eyes)):
        x = torch.from_numpy(arrays(dump, f"inputs/S_{name}")["x"])
        run(level, dump, f"S_{name}", net, partial(_output, given=x))
    return level


def run(
    level: Tolerance, dump: Path, name: str, net: nn.Module, call: Callable[[nn.Module], Mapping[str, Tensor]]
) -> None:
    """Compare a network's outputs, and those of its layers if the dump has them."""
    theirs = arrays(dump, f"results/module_{name}")
    seen: dict[str, Tensor] = {}
    layers = dict(net.named_modules())
    wanted = [key.removeprefix(TAP) for key in theirs if key.startswith(TAP)]

    def keep(layer: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda _module, _inputs, out: seen.__setitem__(layer, out)

    hooks = [layers[layer].register_forward_hook(keep(layer)) for layer in wanted]
    ours = call(net)
    for hook in hooks:
        hook.remove()
    for key, value in theirs.items():
        if key.startswith(TAP):
            level.check(f"{name} {key}", value, _like_tap(seen[key.removeprefix(TAP)], value))
        elif not key.startswith("tapshape:"):
            level.check(f"{name} {key}", value, ours[key])


def wrapper(dump: Path, networks: LivePortraitNetworks) -> Tolerance:
    """Compare the wrapper's calls: from frames to keypoints and to a drawn frame."""
    import cv2

    level = Tolerance("wrapper", 1e-5, 1e-4)
    given, theirs = arrays(dump, "inputs/wrapper"), arrays(dump, "results/wrapper_calls")
    source, driving = (
        networks.prepared(given["source"]),
        networks.prepared(np.asarray(cv2.resize(given["driving"], (256, 256)), np.uint8)),
    )
    heads = {"src": networks.heads(source), "drv": networks.heads(driving)}
    moved = {name: motions(each)[0] for name, each in heads.items()}
    nets = networks.correctors()
    own = ratios(given["lmk203"])
    xs, xd = moved["src"].points, moved["drv"].points
    stitched = nets.stitch(xs, xd)
    volume = networks.appearance(source)
    warped = networks.warping(volume, *(torch.from_numpy(x)[None] for x in (xs, stitched)))
    out = networks.decoder(warped.out)
    ours: dict[str, Any] = {
        "prepared_source": source,
        "prepared_driving_resized": driving,
        "x_s": xs[None],
        "x_d": xd[None],
        "stitched": stitched[None],
        "eye_ratio": np.r_[own.eyes, 0.21][None],
        "lip_ratio": np.r_[own.lips, 0.0][None],
        "eye_delta": nets.eye_delta(xs, own.eyes, 0.21)[None],
        "lip_delta": nets.lip_delta(xs, float(own.lips), 0.0)[None],
        "f_s": volume,
        "out": out,
        "out_uint8": to_bytes(out),
        "deformation": warped.deformation,
        "occlusion_map": warped.occlusion,
    }
    for name, value in heads["drv"].items():
        ours[f"raw_{name}"] = value
    for side, each in moved.items():
        assert each.kp is not None
        ours |= {f"{side}_exp": each.exp[None], f"{side}_t": each.t[None], f"{side}_kp": each.kp[None]}
    for key, value in ours.items():
        if key in theirs:
            level.check(key, theirs[key].reshape(np.shape(value)), value)
    return level


def arrays(dump: Path, name: str) -> CaseArrays:
    with np.load(dump / f"{name}.npz", allow_pickle=False) as data:
        return dict(data)


def _warped(net: nn.Module, given: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    warped = net(given["feature_3d"], given["kp_source"], given["kp_driving"])
    return {"out": warped.out, "deformation": warped.deformation, "occlusion_map": warped.occlusion}


def _like_tap(x: Tensor, tap: NDArray[Any]) -> Tensor:
    """Return a layer's output in the form of the dump: whole, or samples with mean, deviation and greatest value."""
    if tuple(x.shape) == tap.shape:
        return x
    flat = x.float().flatten()
    count = len(tap) - 3
    at = torch.arange(count) * (flat.numel() - 1) // max(count - 1, 1)
    return torch.cat([flat[at], torch.stack([x.mean(), x.std(), x.abs().max()])])
