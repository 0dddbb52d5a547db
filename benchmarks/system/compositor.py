"""Cost of placing the face and drawing the label, compared with the obvious way and with copying memory.

`python -m benchmarks.system.compositor [--json]`: a 512x512 ROI at its own size on a 1080p plate, one core, decoding
excluded. Every figure is the median of interleaved repeats, so that a busy machine slows all of them alike.
"""

import argparse
import json
import time
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from compositing.blend import Blender, warm_up
from compositing.label import draw_label
from compositing.light import LightMatch
from harness.sample_avatar import sample_avatar
from shared.avatar.mask import moving_matte, own_mask
from shared.media.array_types import ImageArray
from shared.media.colour import i420_to_rgb, planes, rgb_to_i420

WIDTH, HEIGHT, SIDE = 1920, 1080, 512
REPEATS = 60
GAINS, OFFSETS = np.array([0.95, 1.05, 1.0]), np.array([4.0, -1.0, 1.5])
PLACEMENT = np.array([[0.998, -0.05, 700.3], [0.05, 0.998, 210.7]])


def measure(repeats: int = REPEATS) -> dict[str, float]:
    """Milliseconds per frame and PSNR in dB; see the keys.

    foreign_ms: placing a face on another person's body, matched to the light of a plate frame that was shown before;
    foreign_first_ms: the same for a plate frame that is shown for the first time. foreign_over_plain: foreign_ms over
    placing the same face without the match; foreign_over_first: foreign_ms over foreign_first_ms. label_us: drawing the
    label into a frame. labelled_us: copying a frame as the gateway does, and drawing the label into the copy.
    label_over_copy, labelled_over_copy: the two as multiples of one copy of the frame.
    """
    plate, roi, mask = _smooth(HEIGHT, WIDTH), _smooth(SIDE, SIDE), own_mask()
    i420, out = rgb_to_i420(plate), rgb_to_i420(plate)
    blender = Blender(mask)
    avatar = sample_avatar(own_plate=False)
    plain, fitted = Blender(avatar.mask), Blender(avatar.mask, LightMatch(avatar))
    face = np.dstack([avatar.roi, moving_matte(avatar.face, avatar.mask)])
    warm_up()

    def placed(how: Blender, frame: int | None = None) -> ImageArray:
        np.copyto(out, i420)
        how.place(out, face, PLACEMENT, GAINS, OFFSETS, frame=frame)
        return out

    def ours() -> ImageArray:
        np.copyto(out, i420)
        blender.place(out, roi, PLACEMENT, GAINS, OFFSETS)
        return out

    def labelled() -> ImageArray:
        shown = i420.copy()
        draw_label(shown)
        return shown

    def copied() -> ImageArray:
        np.copyto(out, i420)
        return out

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        mine, obvious = ours().copy(), full_frame(plate, roi, mask)
        took = interleaved(
            {
                "ours": ours,
                "plain": lambda: placed(plain),
                "foreign": lambda: placed(fitted, 0),
                "first": lambda: placed(fitted),
                "label": lambda: draw_label(out),
                "labelled": labelled,
                "copy": copied,
            },
            {"obvious": lambda: full_frame(plate, roi, mask)},
            repeats,
        )
    finally:
        cv2.setNumThreads(threads)
    x, y, w, h = blender.place(out, roi, PLACEMENT, GAINS, OFFSETS)
    box = np.s_[y : y + h, x : x + w]
    return {
        "compositor_ms": took["ours"],
        "foreign_ms": took["foreign"],
        "foreign_first_ms": took["first"],
        "foreign_over_plain": took["foreign"] / took["plain"],
        "foreign_over_first": took["foreign"] / took["first"],
        "full_frame_float_ms": took["obvious"],
        "plate_copy_ms": took["copy"],
        "label_us": took["label"] * 1000,
        "labelled_us": took["labelled"] * 1000,
        "label_over_copy": took["label"] / took["copy"],
        "labelled_over_copy": took["labelled"] / took["copy"],
        "times_faster": took["obvious"] / took["ours"],
        "psnr_luma_db": float(cv2.PSNR(planes(mine)[0][box], planes(obvious)[0][box])),
        "psnr_rgb_db": float(cv2.PSNR(i420_to_rgb(mine)[box], i420_to_rgb(obvious)[box])),
    }


def full_frame(plate: NDArray[np.uint8], roi: NDArray[np.uint8], mask: NDArray[np.uint8]) -> ImageArray:
    """Compose the obvious way: warp face and mask to the frame's size, and blend them in floating-point RGB.

    The whole frame is then converted for the encoder. The colour match is applied to the ROI, as in ours.
    """
    yuv = cv2.cvtColor(roi, cv2.COLOR_RGB2YUV).astype(np.float32)
    # OpenCV's YUV here is full range with chroma scaled by 0.492 and 0.877: luma and chroma are matched alike.
    yuv[..., 0] = GAINS[0] * (yuv[..., 0] * 219 / 255 + 16 - 128) + 128 + OFFSETS[0]
    yuv[..., 0] = (yuv[..., 0] - 16) * 255 / 219
    u, v = (yuv[..., 1] - 128) * (0.564 / 0.492), (yuv[..., 2] - 128) * (0.713 / 0.877)
    u, v = (GAINS[1] * u * 224 / 255 + OFFSETS[1]) * 255 / 224, (GAINS[2] * v * 224 / 255 + OFFSETS[2]) * 255 / 224
    y = yuv[..., 0]
    matched = np.dstack([y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u]).astype(np.float32)
    warped = cv2.warpAffine(matched, PLACEMENT, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    alpha = cv2.warpAffine(mask.astype(np.float32) / 255.0, PLACEMENT, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    blended = plate.astype(np.float32) * (1.0 - alpha[..., None]) + warped * alpha[..., None]
    return rgb_to_i420(np.clip(np.rint(blended), 0, 255).astype(np.uint8))


def interleaved(
    short: dict[str, Callable[[], object]], long: dict[str, Callable[[], object]], repeats: int
) -> dict[str, float]:
    """Median milliseconds of each. The long ones are called at every tenth turn."""
    took: dict[str, list[float]] = {name: [] for name in (*short, *long)}
    for turn in range(repeats):
        for name, call in {**short, **(long if turn % 10 == 0 else {})}.items():
            begin = time.perf_counter()
            call()
            took[name].append((time.perf_counter() - begin) * 1000)
    return {name: float(np.median(each)) for name, each in took.items()}


def _smooth(height: int, width: int) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 RGB of soft colour patches: chroma is subsampled, so detail would compare badly."""
    noise = np.random.default_rng(height).uniform(0, 255, (height // 24 + 2, width // 24 + 2, 3)).astype(np.float32)
    frame = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) * 0.5 + 64
    return np.asarray(np.clip(frame, 0, 255), np.uint8)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="What placing the face costs.")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    figures = {name: round(value, 3) for name, value in measure().items()}
    if parser.parse_args().json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:28}{value:10.3f}")


if __name__ == "__main__":
    main()
