"""Write the findings of mediapipe 0.10.21 on the sample portrait in several poses, with which the tests compare.

    python -m benchmarks.face.golden --peer PYTHON OUT.npz

Run it again when the sample portrait or its poses (`harness.faces.posed`) change. Arrays: `video` (5, 478, 3) points in
every fifth moving frame, `still` (2, 478, 3), `small` (faces, 5) boxes and scores, `person` (480, 640) uint8 in the
last frame.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.face.peer import Graph, OriginalGraph
from harness.faces.posed import moving_face, small_face, two_faces


def main() -> None:
    """Track the built-in frames with the peer and write its points to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="the Python of an environment with mediapipe 0.10.21")
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    moving = moving_face()
    asked: dict[Graph, NDArray[np.uint8]] = {
        "video": moving,
        "still": two_faces()[None],
        "small": small_face()[None],
        "person": moving[-1:],
    }
    arrays = {}
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder, OriginalGraph(given.peer) as peer:
        for graph, frames in asked.items():
            path = Path(folder) / f"{graph}.npy"
            np.save(path, frames)
            arrays[graph] = np.concatenate([np.stack(each) for each in peer.find(path, graph).found])
    arrays["video"] = arrays["video"][::5]
    arrays["person"] = np.rint(arrays["person"][0] * 255).astype(np.uint8)
    np.savez_compressed(given.out, allow_pickle=False, **arrays)
    print({name: array.shape for name, array in arrays.items()})


if __name__ == "__main__":
    main()
