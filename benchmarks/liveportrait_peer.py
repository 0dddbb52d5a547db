"""The original LivePortrait from a checkout, timed on random weights that it writes in its own layout."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np

Timed = Callable[[Callable[[], object], int], float]
PLATE = 1280, 720
NETWORKS = (
    ("appearance_feature_extractor", "appearance_feature_extractor", "AppearanceFeatureExtractor"),
    ("motion_extractor", "motion_extractor", "MotionExtractor"),
    ("warping_module", "warping_network", "WarpingNetwork"),
    ("spade_generator", "spade_generator", "SPADEDecoder"),
)
SMALL = (("retarget_shoulder", "stitching"), ("retarget_mouth", "lip"), ("retarget_eye", "eye"))


def peer_figures(checkout: Path, weights: Path, rounds: int, timed: Timed) -> dict[str, dict[str, float]]:
    """Milliseconds by way of running it: float32 on a CPU, and half precision with and without its compile flag on a GPU.
    Writes the weights it was run with to `weights`, in the published layout."""
    import torch

    sys.path.insert(0, str(checkout))
    write_weights(checkout, weights)
    if not torch.cuda.is_available():
        return {"float32": _run(checkout, weights, rounds, timed, half=False, compiled=False)}
    ways = {"float32": (False, False), "float16": (True, False), "float16 compiled": (True, True)}
    return {name: _run(checkout, weights, rounds, timed, half=way[0], compiled=way[1]) for name, way in ways.items()}


def write_weights(checkout: Path, weights: Path) -> None:
    """Random weights of every network, gentle enough that activations neither vanish nor overflow in half precision."""
    import torch

    sizes = import_module("yaml").safe_load((checkout / "src/config/models.yaml").read_text())["model_params"]
    (weights / "base_models").mkdir(parents=True)
    (weights / "retargeting_models").mkdir()
    torch.manual_seed(1)
    for name, module, made in NETWORKS:
        net = getattr(import_module(f"src.modules.{module}"), made)(**sizes[f"{name}_params"]).eval()
        state = net.state_dict()
        for key in (key for key in state if key.endswith("weight_orig")):  # as power iteration would have left them
            matrix = state[key].reshape(len(state[key]), -1)
            u = torch.ones(len(matrix))
            for _ in range(3):
                v = torch.nn.functional.normalize(matrix.T @ u, dim=0)
                u = torch.nn.functional.normalize(matrix @ v, dim=0)
            state[key.replace("_orig", "_u")], state[key.replace("_orig", "_v")] = u, v
        torch.save(state, weights / "base_models" / f"{name}.pth")
    small = import_module("src.modules.stitching_retargeting_network").StitchingRetargetingNetwork
    given = sizes["stitching_retargeting_module_params"]
    states = {
        key: {f"module.{name}": value for name, value in small(**given[which]).state_dict().items()}
        for key, which in SMALL
    }
    torch.save(states, weights / "retargeting_models" / "stitching_retargeting_module.pth")


def _run(checkout: Path, weights: Path, rounds: int, timed: Timed, *, half: bool, compiled: bool) -> dict[str, float]:
    import torch

    config = import_module("src.config.inference_config").InferenceConfig
    wrapper_of = import_module("src.live_portrait_wrapper").LivePortraitWrapper
    crop = import_module("src.utils.crop")
    paths = {
        f"checkpoint_{letter}": str(weights / "base_models" / f"{name}.pth")
        for letter, (name, _, _) in zip("FMWG", NETWORKS, strict=True)
    }
    wrapper = wrapper_of(
        config(
            **paths,
            checkpoint_S=str(weights / "retargeting_models" / "stitching_retargeting_module.pth"),
            flag_force_cpu=not torch.cuda.is_available(),
            flag_use_half_precision=half,
            flag_do_torch_compile=compiled,
        )
    )
    chance = np.random.default_rng(1)
    picture = chance.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    plate = chance.integers(0, 256, (PLATE[1], PLATE[0], 3), dtype=np.uint8)
    matrix = np.array([[0.8, 0.0, 400.0], [0.0, 0.8, 100.0], [0.0, 0.0, 1.0]], np.float32)
    mask = cv2.imread(str(checkout / "src/utils/resources/mask_template.png"), cv2.IMREAD_COLOR)
    covered = crop.prepare_paste_back(mask, matrix, dsize=PLATE)
    source = wrapper.prepare_source(picture)
    info = wrapper.get_kp_info(source)
    points, volume = wrapper.transform_keypoint(info), wrapper.extract_feature_3d(source)
    warped = wrapper.warp_decode(volume, points, points + 0.02)["out"].shape
    assert tuple(warped) == (1, 3, 512, 512)

    def frame() -> None:
        driving = wrapper.prepare_videos([picture])[0]
        moved = wrapper.transform_keypoint(wrapper.get_kp_info(driving))
        driven = wrapper.stitching(points, moved)
        out = wrapper.parse_output(wrapper.warp_decode(volume, points, driven)["out"])[0]
        crop.paste_back(out, matrix, plate, covered)

    calls: Mapping[str, Callable[[], Any]] = {
        "F": lambda: wrapper.extract_feature_3d(source),
        "M": lambda: wrapper.get_kp_info(source),
        "W+G": lambda: wrapper.warp_decode(volume, points, points + 0.02),
        "frame": frame,
    }
    return {name: timed(call, rounds) for name, call in calls.items()}
