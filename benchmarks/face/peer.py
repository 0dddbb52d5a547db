"""Client of mediapipe 0.10.21, which runs as a process in a separate Python environment."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.face import mediapipe_peer
from shared.errors import StudioError

Graph = Literal["still", "video", "small", "person"]


@dataclass(frozen=True, slots=True)
class Found:
    """Findings in the frames of a video, and the time they took.

    found: the findings of each frame, such as (478, 3) points per face (see `mediapipe_peer`). seconds: (N,) for each
        frame. processor_s: mean processor time per frame, summed over threads.
    """

    found: list[list[NDArray[np.float32]]]
    seconds: NDArray[np.float64]
    processor_s: float


def printed_seconds(command: list[str]) -> float:
    """Run a command and return the number that it prints. Raises StudioError."""
    with _peer_errors(command[0]):
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, cwd=Path(__file__).parents[2])
        return float(done.stdout)


@contextmanager
def _peer_errors(python: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1:]
        raise StudioError(
            f"{python} does not run mediapipe's graph ({''.join(said)}); name the Python of an environment in which"
            " mediapipe==0.10.21 is installed."
        ) from None


class OriginalGraph:
    """Process of mediapipe in its own environment, as a context manager."""

    def __init__(self, python: Path) -> None:
        self._python = python

    def __enter__(self) -> Self:
        with _peer_errors(str(self._python)):
            self._process = subprocess.Popen(
                [str(self._python), mediapipe_peer.__file__, "serve"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate()

    def find(self, frames: Path, graph: Graph) -> Found:
        """Return the graph's findings in the frames of a file, and the time of each. Raises StudioError."""
        assert self._process.stdin is not None and self._process.stdout is not None
        out = frames.with_suffix(".npz")
        with _peer_errors(str(self._python)):
            request: dict[str, Any] = {"frames": str(frames), "graph": graph, "out": str(out)}
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
        with np.load(out) as data:
            ends = np.cumsum(data["count"])
            found = [list(each) for each in np.split(data["found"], ends[:-1])]
        return Found(found, np.array(answer["seconds"]), answer["processor_s"])
