"""LivePortrait's maths compared with the original's helpers."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.liveportrait.motion import crop
from engines.liveportrait.motion.keypoints import degrees, move_keypoints, row_rotations
from engines.liveportrait.motion.retarget_rules import Ratios
from tests.parity.level import Tolerance
from tests.parity.liveportrait_steps import mean_square, pasted, size_ratio, smoothed

# By number of points of a cloud: the points of the left eye, the right eye and the mouth.
ANCHORS = {
    203: ([0, 6, 12, 18], [24, 30, 36, 42], [48, 66]),
    106: ([33, 35, 40, 39], [87, 89, 94, 93], [52, 61]),
    101: ([39, 42, 45, 48], [51, 54, 57, 60], [75, 81]),
    68: ([36, 39], [42, 45], [48, 54]),
    5: ([0], [1], [3, 4]),
}
WAYS = ((2.3, -0.125, 0.0), (1.5, -0.1, 0.0), (2.2, -0.1, 0.07))  # scale, shift, aside


def square(points: NDArray[Any], scale: float, shift: float, aside: float = 0.0) -> crop.Square:
    """Return the crop around one of the original's point clouds."""
    left, right, mouth = (points[index].mean(axis=0) for index in ANCHORS[len(points)])
    return crop.square(points, (left + right) / 2, mouth, scale, shift, aside)


def ratios(points: NDArray[Any]) -> Ratios:
    """Return the openings in the original's 203 points."""

    def over(a: int, b: int, c: int, d: int) -> float:
        return float(np.linalg.norm(points[a] - points[b]) / (np.linalg.norm(points[c] - points[d]) + 1e-6))

    return Ratios(
        np.array([over(6, 18, 0, 12), over(30, 42, 24, 36)], np.float32), np.array(over(90, 102, 48, 66), np.float32)
    )


def maths(dump: Path) -> Tolerance:
    level = Tolerance("maths", 1e-5, 1e-5)
    with np.load(dump / "inputs/math.npz") as data:
        given = dict(data)
    with np.load(dump / "results/math_helpers.npz") as data:
        theirs = dict(data)
    _keypoints(level, given, theirs)
    _crops(level, given, theirs)
    level.check("mask", given["mask_template"][..., 0], crop.rim_mask())
    for name in theirs:
        if name.startswith("kalman_"):
            level.check(name, theirs[name], smoothed(given["kalman_in"], float(name.removeprefix("kalman_")))[:, 0])
    return level


def _keypoints(level: Tolerance, given: dict[str, NDArray[Any]], theirs: dict[str, NDArray[Any]]) -> None:
    level.check("degrees", theirs["degrees"], degrees(given["logits"]))
    level.check("R", theirs["R"], row_rotations(*given["angles_pitch_yaw_roll"].T))
    turns = row_rotations(*given["angles5"].T)
    rows = zip(given["kp"], given["scale"], turns, given["exp"], given["t"], strict=True)
    level.check("x", theirs["x"], np.stack([move_keypoints(*row) for row in rows]))
    kp = given["kp"]
    level.check("size ratio", theirs["motion_multiplier"], [size_ratio(kp[i], kp[i + 1]) for i in range(4)])


def _crops(level: Tolerance, given: dict[str, NDArray[Any]], theirs: dict[str, NDArray[Any]]) -> None:
    image = given["image"]
    height, width = image.shape[:2]
    for j in range(sum(name.startswith("lmk") for name in given)):
        points = given[f"lmk{j}"]
        for q, way in enumerate(WAYS):
            found = square(points, *way)
            matrix = found.to_crop(512)
            level.check(
                f"rect{j}_{q}", theirs[f"rect{j}_{q}"], np.r_[found.centre, found.side, found.side, found.angle]
            )
            level.check(f"corners{j}_{q}", theirs[f"bbox{j}_{q}"], found.corners(upright=True))
            level.check(f"turned{j}_{q}", theirs[f"bboxrot{j}_{q}"], found.corners())
            level.check(f"o2c{j}_{q}", theirs[f"o2c{j}_{q}"][:2], matrix)
            level.check(f"c2o{j}_{q}", theirs[f"c2o{j}_{q}"][:2], crop.crop_to_image(matrix))
            level.check(f"upright{j}_{q}", theirs[f"o2c_norot{j}_{q}"][:2], found.to_crop(512, upright=True))
        if f"crop512_{j}" in theirs:
            matrix = square(points, 2.3, -0.125).to_crop(512)
            cut = crop.cut_crop(image, matrix, 512)
            level.check(f"crop512_{j}", theirs[f"crop512_{j}"], cut)
            level.check(
                f"crop256_{j}", theirs[f"crop256area_{j}"], cv2.resize(cut, (256, 256), interpolation=cv2.INTER_AREA)
            )
            small = square(points, 1.5, -0.1).to_crop(224)
            level.check(f"crop224_{j}", theirs[f"crop224_{j}"], crop.cut_crop(image, small, 224))
            level.check(f"mask{j}", theirs[f"maskori{j}"][..., 0], crop.spread_mask(matrix, (width, height)))
            level.check(f"pasted{j}", theirs[f"pasted{j}"], pasted(given["generated_face"], matrix, image))
            one = square(points, 2.2, -0.1).corners(upright=True)
            held = mean_square([one, one + np.array([4.0, -2.0], np.float32)]).to_crop(512)
            driving = crop.cut_crop(image, held, 512)
            level.check(f"driving{j}", theirs[f"drvcrop{j}"], driving)
            level.check(f"driving256_{j}", theirs[f"drvcrop256lin{j}"], cv2.resize(driving, (256, 256)))
        if f"eye_ratio{j}" in theirs:
            own = ratios(points)
            level.check(f"eyes{j}", theirs[f"eye_ratio{j}"][0], own.eyes)
            level.check(f"lips{j}", theirs[f"lip_ratio{j}"].reshape(()), own.lips)
