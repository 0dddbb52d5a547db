"""Peak memory of adding a body that lasts so many seconds: `python -m benchmarks.film.memory SECONDS FILM [mattes]`.

The film is played to and fro at 640 pixels a side until it is long enough. Prints the peak in MB and the
seconds, both without making the film; with `mattes`, the mattes of the cut-out are made too.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

FPS, SIDE_PX = 25, 640


def peak(seconds: float, film: Path, mattes: bool = False) -> dict[str, float]:
    """Return the peak in MB and the seconds, measured in a separate process."""
    words = [sys.executable, "-m", "benchmarks.film.memory", str(seconds), str(film), *(["mattes"] if mattes else [])]
    done = subprocess.run(words, check=True, capture_output=True, text=True, encoding="utf-8")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _write(film: Path, to: Path, seconds: float) -> None:
    from shared.media.colour import rgb_to_i420
    from shared.media.mp4 import Mp4Writer
    from shared.media.reader import VideoReader

    with VideoReader(film, max_side=SIDE_PX) as reader:
        frames = [
            rgb_to_i420(np.ascontiguousarray(rgb[: rgb.shape[0] // 2 * 2, : rgb.shape[1] // 2 * 2]))
            for _, rgb in reader
        ]
    order = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    height, width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
    with Mp4Writer(to, width, height, Fraction(FPS), sound=False, preset="ultrafast", crf=20) as writer:
        for number in range(round(seconds * FPS)):
            writer.frame(frames[order[number % len(order)]], index=number)


def _main() -> None:
    seconds, film, mattes = float(sys.argv[1]), Path(sys.argv[2]), len(sys.argv) > 3
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as scratch:
        body = Path(scratch, "body.mp4")
        # In a separate process, so that its memory does not count.
        subprocess.run(
            [sys.executable, "-c", "import sys, pathlib; from benchmarks.film.memory import _write; "
             "_write(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), float(sys.argv[3]))", str(film), str(body),
             str(seconds)],
            check=True,
        )  # fmt: skip
        from shared.avatar.build import add_avatar
        from shared.avatar.matte import plate_mattes
        from shared.avatar.plate import Plate

        began = time.perf_counter()
        folder = add_avatar(Path(scratch, "home"), "body", None, body, "benchmark")
        if mattes:
            plate_mattes(folder, Plate.load(folder))
        took = time.perf_counter() - began
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"peak_mb": round(peak_kb / 1024, 1), "took_s": round(took, 1)}))


if __name__ == "__main__":
    _main()
