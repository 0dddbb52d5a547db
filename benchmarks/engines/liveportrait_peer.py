"""The original LivePortrait from a checkout, timed on random weights that it writes in its own layout."""

import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from harness.call_time import median_call_ms, use_threads

PLATE_SIZE_PX = 1280, 720
NETWORKS = (
    ("appearance_feature_extractor", "appearance_feature_extractor", "AppearanceFeatureExtractor"),
    ("motion_extractor", "motion_extractor", "MotionExtractor"),
    ("warping_module", "warping_network", "WarpingNetwork"),
    ("spade_generator", "spade_generator", "SPADEDecoder"),
)
SMALL = (("retarget_shoulder", "stitching"), ("retarget_mouth", "lip"), ("retarget_eye", "eye"))


def write_weights(checkout: Path, weights: Path) -> None:
    """Write random weights of every network in the published layout.

    They are gentle enough that activations neither vanish nor overflow in half precision.
    """
    import torch

    sys.path.insert(0, str(checkout))
    sizes = import_module("yaml").safe_load((checkout / "src/config/models.yaml").read_text(encoding="utf-8"))[
        "model_params"
    ]
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


def time_original(checkout: Path, weights: Path, way: str, rounds: int, threads: int) -> dict[str, float]:
    """Time the original's networks and a whole frame, in milliseconds; also its first frame and, on a GPU, its memory.

    way: "float32" or "float16", with " compiled" for its compile flag. weights: folder in the published layout.
    """
    import torch

    use_threads(threads)
    sys.path.insert(0, str(checkout))
    precision, _, compiled = way.partition(" ")
    gpu = torch.cuda.is_available()
    config = import_module("src.config.inference_config").InferenceConfig
    wrapper_of = import_module("src.live_portrait_wrapper").LivePortraitWrapper
    crop = import_module("src.utils.crop")
    paths = {
        f"checkpoint_{letter}": str(weights / "base_models" / f"{name}.pth")
        for letter, (name, _, _) in zip("FMWG", NETWORKS, strict=True)
    }
    start = time.perf_counter()
    wrapper = wrapper_of(
        config(
            **paths,
            checkpoint_S=str(weights / "retargeting_models" / "stitching_retargeting_module.pth"),
            flag_force_cpu=not gpu,
            flag_use_half_precision=precision == "float16",
            flag_do_torch_compile=bool(compiled),
        )
    )
    chance = np.random.default_rng(1)
    pixels = chance.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    plate = chance.integers(0, 256, (PLATE_SIZE_PX[1], PLATE_SIZE_PX[0], 3), dtype=np.uint8)
    matrix = np.array([[0.8, 0.0, 400.0], [0.0, 0.8, 100.0], [0.0, 0.0, 1.0]], np.float32)
    mask = cv2.imread(str(checkout / "src/utils/resources/mask_template.png"), cv2.IMREAD_COLOR)
    covered = crop.prepare_paste_back(mask, matrix, dsize=PLATE_SIZE_PX)
    source = wrapper.prepare_source(pixels)
    info = wrapper.get_kp_info(source)
    points, volume = wrapper.transform_keypoint(info), wrapper.extract_feature_3d(source)

    def warp() -> Any:
        with torch.no_grad(), wrapper.inference_ctx():
            return wrapper.warping_module(volume, kp_source=points, kp_driving=points + 0.02)["out"]

    def decode() -> Any:
        with torch.no_grad(), wrapper.inference_ctx():
            return wrapper.spade_generator(feature=warped)

    def frame() -> None:
        driving = wrapper.prepare_videos([pixels])[0]
        moved = wrapper.transform_keypoint(wrapper.get_kp_info(driving))
        driven = wrapper.stitching(points, moved)
        out = wrapper.parse_output(wrapper.warp_decode(volume, points, driven)["out"])[0]
        crop.paste_back(out, matrix, plate, covered)

    frame()
    figures = {"first_frame_s": round(time.perf_counter() - start, 2)}
    calls: dict[str, Callable[[], Any]] = {
        "F": lambda: wrapper.extract_feature_3d(source),
        "M": lambda: wrapper.get_kp_info(source),
        "W+G": lambda: wrapper.warp_decode(volume, points, points + 0.02),
        "frame": frame,
    }
    if not compiled:  # its compiled graphs are recorded for both networks in a row
        warped = warp()
        calls |= {"W": warp, "G": decode}
    for name, call in calls.items():
        figures[name] = median_call_ms(call, rounds)
    if gpu:
        figures["gpu_mb"] = torch.cuda.max_memory_reserved() >> 20
    return figures
