"""`python -m tests.parity.golden_vectors.liveportrait_rules CHECKOUT SCRIPT`: write golden vectors of its loop.

They show how LivePortrait's own loop (commit 1986663) combines motions, under every set of options.

CHECKOUT is the original, SCRIPT the peer script that writes dumps of it: its `Dump.stage_pipeline` runs the loop. Here
the loop gets motions and retargeting weights that follow from their names (`tests.parity.ruled`) instead of motions
that networks find in frames, so that a test needs neither CHECKOUT nor SCRIPT. Writes
tests/engines/liveportrait/rules_golden.npz.
"""

import argparse
import json
import pickle
import sys
import tempfile
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.parity.liveportrait_maths import ratios
from tests.parity.ruled import state, uniform

OUT = Path(__file__).parents[2] / "engines" / "liveportrait" / "rules_golden.npz"
SEED = 3
LAST_LAYER = 0.05  # factor on the weights by rule, because a trained network's corrections are small
NETWORKS = {
    "retarget_shoulder": (126, [128, 128, 64], 65),
    "retarget_mouth": (65, [128, 128, 64], 63),
    "retarget_eye": (66, [256, 256, 128, 128, 64], 63),
}
MOTION = ("scale", "R", "exp", "t")

RuleArrays = dict[str, NDArray[Any]]


def main() -> None:
    checkout, script = (Path(given).absolute() for given in sys.argv[1:])
    sys.path.insert(0, str(checkout))
    with tempfile.TemporaryDirectory(prefix="studio-golden-") as folder:
        np.savez_compressed(OUT, allow_pickle=False, **golden(checkout, peer(script), Path(folder)))
    print(f"{OUT}: {OUT.stat().st_size // 1000} kB")


def peer(script: Path) -> Any:
    """Import the peer script as a module."""
    spec = spec_from_file_location(script.stem, script)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def golden(checkout: Path, script: Any, folder: Path) -> RuleArrays:
    """Run the loop; return its inputs and results by name. folder: for temporary files."""
    dump = script.Dump(argparse.Namespace(repo=str(checkout), out=str(folder), seed=SEED, threads=1))
    dump.real = dump.real_full = None
    dump.weights()
    weights = dump.ckpt / "retargeting_models" / "stitching_retargeting_module.pth"
    torch.save({name: _weights(*sizes) for name, sizes in NETWORKS.items()}, weights)
    dump.w = dump.wrapper()
    motions = _stand_in(dump.w)
    dump.stage_pipeline()
    assert not dump.manifest["pipeline_errors"], dump.manifest["pipeline_errors"]
    held = _sources(motions, folder) | _driver(folder) | {"runs": np.array(json.dumps(dump.manifest["pipeline_runs"]))}
    with np.load(folder / "results/pipeline_motion.npz") as results:
        for name in dump.manifest["pipeline_runs"]:
            driven = results[f"{name}:x_d"]
            held[f"driven {name}"] = driven[sorted({0, len(driven) // 2, len(driven) - 1})]
    return held


def _weights(inputs: int, hidden: list[int], outputs: int) -> dict[str, Tensor]:
    network = import_module("src.modules.stitching_retargeting_network").StitchingRetargetingNetwork
    made = network(inputs, hidden, outputs)
    weights = state({key: tuple(value.shape) for key, value in made.state_dict().items()})
    last = max(int(key.split(".")[1]) for key in weights)
    for name in ("weight", "bias"):
        weights[f"mlp.{last}.{name}"] *= LAST_LAYER
    return {f"module.{key}": value for key, value in weights.items()}


def _stand_in(wrapper: Any) -> list[dict[str, Tensor]]:
    """Make the wrapper find another motion in each frame, and draw nothing.

    Returns a list to which the motions are added when they are found.
    """
    found: list[dict[str, Tensor]] = []

    def get_kp_info(*_: Any, **__: Any) -> dict[str, Tensor]:
        def some(name: str, *shape: int) -> Tensor:
            return torch.from_numpy(uniform(f"{name}{len(found)}", shape))

        motion = {
            "pitch": 12 * some("p", 1, 1),
            "yaw": 18 * some("y", 1, 1),
            "roll": 8 * some("r", 1, 1),
            "t": 0.1 * some("t", 1, 3),
            "exp": 0.05 * some("e", 1, 21, 3),
            "scale": 1.4 + 0.2 * some("s", 1, 1),
            "kp": torch.from_numpy(uniform("kp", (1, 21, 3))) * 0.5 + 0.02 * some("k", 1, 21, 3),
        }
        found.append({key: value.clone() for key, value in motion.items()})
        return motion

    wrapper.get_kp_info = get_kp_info
    wrapper.extract_feature_3d = lambda *_: torch.zeros(1, 32, 16, 64, 64)
    wrapper.warp_decode = lambda *_: {"out": torch.full((1, 3, 512, 512), 0.5)}
    return found


def _sources(motions: list[dict[str, Tensor]], folder: Path) -> RuleArrays:
    """Return the motions and openings of the sources: the still, the uncropped still, a video's frames."""
    held = {f"source {key}": np.stack([each[key][0].numpy() for each in motions]) for key in motions[0]}
    with np.load(folder / "inputs/pipeline_landmarks.npz") as points:
        frames = [points[f"video203_{i}"] for i in range(len(motions) - 2)]
        own = [ratios(cloud) for cloud in (points["source203"], points["source203"], *frames)]
    return held | {
        "source eyes": np.stack([each.eyes for each in own]),
        "source lips": np.stack([each.lips for each in own]),
    }


def _driver(folder: Path) -> RuleArrays:
    """Return the motions and openings of the driver."""
    with (folder / "inputs/templates/seq.pkl").open("rb") as file:
        template = pickle.load(file)  # written by the script just now
    held = {f"driver {key}": np.stack([each[key][0] for each in template["motion"]]) for key in MOTION}
    openings = {"driver eyes": template["c_eyes_lst"], "driver lips": template["c_lip_lst"]}
    return held | {name: np.stack([each[0] for each in values]) for name, values in openings.items()}


if __name__ == "__main__":
    main()
