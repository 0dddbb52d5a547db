"""Face tracking against mediapipe 0.10.21's own graph: the same faces, the same points, and the time of a step.

    python -m benchmarks.face.tracking [--peer PYTHON] [--rounds N] [--json] [IMAGE OR VIDEO ...]

`--peer` names the Python of an environment with mediapipe 0.10.21, in which its graph runs: `python3.11 -m venv PLACE
&& PLACE/bin/pip install mediapipe==0.10.21`, then PLACE/bin/python. Without it only times of ours are printed. Your own
footage is compared in addition to the sample portrait and the scripted performance of the sample avatar, whose frames
are 512x512.

Points are compared in pixels of frames at most MAX_SIDE_PX long. Times are by the clock, with the rounds of both sides
in turns; for each frame the least of the rounds counts, and over all frames the median. Processor time is that of all
threads, the least of the rounds; other work on the machine changes it less.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.face import first_points, mediapipe_peer
from benchmarks.face.peer import Found, OriginalGraph, printed_seconds
from benchmarks.figures import BenchmarkFigures
from engines.api import Driving
from engines.registry import load_frame_engine
from harness.sample_avatar import sample_avatar
from shared.avatar.samples import sample_portrait
from shared.errors import StudioError
from shared.face.landmarks import Face, Points
from shared.face.networks.landmarker import FaceLandmarker
from shared.face.scripted import SCRIPT_S, perform
from shared.media.array_types import ImageArray
from shared.media.intake.signature import is_still_image
from shared.media.reader import VideoReader
from shared.media.still import read_image
from shared.runtime.clock import US

FRAMES = 200  # of a video, from its beginning
MAX_SIDE_PX = 1024
FPS = 25
ROUNDS, STARTS = 5, 5
PERFORMANCE = "sample driver"
STEPS = ("step", "processor")
# Bounds of agreement with the peer: pixels, and the largest difference of a ratio from 1.
STILL_PX, VIDEO_PX, VIDEO_P999_PX, ALIKE = 0.1, 0.15, 1.5, 0.02
MOVES = 0.02  # a range of the mouth or the eyes below this is noise


@dataclass(frozen=True, slots=True)
class Footage:
    """Footage that faces are tracked in.

    name: the file's name. still: one image. frames: (N, H, W, 3) uint8 RGB.
    """

    name: str
    still: bool
    frames: NDArray[np.uint8]


def measure(peer: Path | None = None, footage: Sequence[Path] = (), rounds: int = ROUNDS) -> BenchmarkFigures:
    """Figures by name. peer: the Python of an environment with mediapipe 0.10.21. Raises StudioError."""
    everything = [*_samples(), *(_read(path) for path in footage)]
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
        scratch = Path(folder)
        for number, each in enumerate(everything):
            np.save(scratch / f"{number}.npy", each.frames)
        started = [
            printed_seconds([sys.executable, first_points.__file__, str(scratch / "0.npy")]) for _ in range(STARTS)
        ]
        figures: BenchmarkFigures = {"first_points_s": round(float(np.median(started)), 3)}
        if peer is None:
            return figures | _step("", [ours(everything[1]) for _ in range(rounds)])
        started = [
            printed_seconds([str(peer), mediapipe_peer.__file__, "first", str(scratch / "0.npy")])
            for _ in range(STARTS)
        ]
        figures["peer_first_points_s"] = round(float(np.median(started)), 3)
        with OriginalGraph(peer) as theirs:
            for number, each in enumerate(everything):
                figures[each.name] = compare(
                    each, ours(each), theirs.find(scratch / f"{number}.npy", "still" if each.still else "video")
                )
            here, there = [], []
            for _ in range(rounds):
                here.append(ours(everything[1]))
                there.append(theirs.find(scratch / "1.npy", "video"))
    figures |= _step("", here) | _step("peer_", there)
    ratios = {f"{name}_over_peer": round(figures[f"{name}_ms"] / figures[f"peer_{name}_ms"], 3) for name in STEPS}
    return figures | ratios


def ours(footage: Footage) -> Found:
    """Return the findings of our networks, and the time of each frame."""
    model = FaceLandmarker(not footage.still, mediapipe_peer.MAX_FACES)
    faces, seconds = [], []
    began = time.process_time()
    for frame in footage.frames:
        started = time.perf_counter()
        faces.append(model.find(frame))
        seconds.append(time.perf_counter() - started)
    return Found(faces, np.array(seconds), (time.process_time() - began) / len(faces))


def compare(footage: Footage, here: Found, there: Found) -> BenchmarkFigures:
    """Compare two findings on the same footage: how far apart they are, and whether that is within the bounds."""
    both = [pair for pair in zip(here.found, there.found, strict=True) if len(pair[0]) == len(pair[1])]
    same = len(both) == len(footage.frames)
    figures: BenchmarkFigures = {
        "frames": len(footage.frames),
        "with_a_face": sum(bool(faces) for faces in here.found),
        "peer_with_a_face": sum(bool(faces) for faces in there.found),
    }
    apart = [_apart(one, other) for mine, their in both for one, other in zip(mine, their, strict=True)]
    if not apart:
        return figures | {"verdict": "same" if same else "differs"}
    figures["mean_px"] = round(float(np.mean(apart)), 4)
    figures["p999_px"] = round(float(np.percentile(apart, 99.9)), 3)
    if footage.still:
        return figures | {"verdict": "same" if same and figures["mean_px"] <= STILL_PX else "differs"}
    mine, their = (
        _signals(faces[0] for faces in found if faces) for found in ([a for a, _ in both], [b for _, b in both])
    )
    ratios = {name: round(mine[name] / their[name], 4) for name in mine if name == "jitter_px" or their[name] > MOVES}
    figures |= {f"{name}_over_peer": ratio for name, ratio in ratios.items()}
    alike = all(abs(ratio - 1) <= ALIKE for ratio in ratios.values())
    near = figures["mean_px"] <= VIDEO_PX and figures["p999_px"] <= VIDEO_P999_PX
    return figures | {"verdict": "same" if same and near and alike else "differs"}


def _apart(one: Points, other: Points) -> NDArray[np.float32]:
    """(478,) distance in the image, pixels."""
    return np.asarray(np.linalg.norm(one[:, :2] - other[:, :2], axis=1), np.float32)


def _signals(faces: Iterable[Points]) -> dict[str, float]:
    """Measure how much points shake (RMS of their second difference, pixels) and how far mouth and eyes move."""
    points = np.stack(list(faces))
    shake = np.diff(points[:, :, :2], n=2, axis=0)
    seen = [Face(each) for each in points]
    return {
        "jitter_px": float(np.sqrt(np.mean(shake**2))),
        "mouth_range": float(np.ptp([face.mouth_opening for face in seen])),
        "eyes_range": float(np.ptp([sum(face.eye_openings) / 2 for face in seen])),
    }


def _step(side: str, rounds: list[Found]) -> dict[str, float]:
    """Return the milliseconds of a frame, by the clock and in processor time.

    By the clock: the least of the rounds for each frame, then the median of the frames. Processor time: the least of
    the rounds' means.
    """
    times = (
        float(np.median(np.min([each.seconds for each in rounds], axis=0))),
        min(each.processor_s for each in rounds),
    )
    return {f"{side}{name}_ms": round(value * 1e3, 3) for name, value in zip(STEPS, times, strict=True)}


def _samples() -> Iterator[Footage]:
    avatar = sample_avatar()
    session = load_frame_engine("mesh").open(avatar)
    frames = []
    for number in range(min(FRAMES, round(SCRIPT_S * FPS))):
        driving = Driving(number * US // FPS, perform(avatar.face, number / FPS), avatar.face)
        frames += [np.array(frame.pixels[..., :3]) for frame in session.step(driving)]
    yield Footage("sample portrait", True, sample_portrait()[None])
    yield Footage(PERFORMANCE, False, np.stack(frames))


def _read(path: Path) -> Footage:
    """Read an image, or the first FRAMES frames of a video. Raises StudioError."""
    if is_still_image(path):
        return Footage(path.name, True, _shrunk(read_image(path))[None])
    frames: list[ImageArray] = []
    with VideoReader(path, max_side=MAX_SIDE_PX) as reader:
        for _, rgb in reader:
            frames.append(rgb.copy())
            if len(frames) == FRAMES:
                break
    return Footage(path.name, False, np.stack(frames))


def _shrunk(image: ImageArray) -> ImageArray:
    import cv2

    scale = MAX_SIDE_PX / max(image.shape[:2])
    if scale >= 1:
        return image
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def main() -> None:
    """Measure, and print a line for each figure or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("footage", type=Path, nargs="*", help="images and videos of your own")
    parser.add_argument("--peer", type=Path, help="the Python of an environment with mediapipe 0.10.21")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds in which each side is timed")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    try:
        figures = measure(given.peer, given.footage, given.rounds)
    except StudioError as error:
        sys.exit(str(error))
    if given.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
