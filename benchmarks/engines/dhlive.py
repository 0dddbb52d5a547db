"""DH_live on one core: each part of a frame, compared with the original in the same run, and eight faces as one batch.

The weights are made by rule and the files are stand-ins: the drawn image is noise, at the cost of a real one. Times are
CPU time of the process, the least of many calls, ours and the original's in turn.
"""

import importlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import BenchmarkFigures
from harness.tiny.dhlive import write_stand_ins
from shared.errors import StudioError

BUDGET_MS, BATCH, BATCH_BAR = 7.0, 8, 0.85
ROUNDS = 60
NO_PEER = "not measured: give --peer, a checkout of github.com/kleinlee/DH_live"
PARTS = ("network", "audio", "control image")  # parts that count against the budget


def measure(peer: Path | None = None, rounds: int = ROUNDS) -> BenchmarkFigures:
    """Return milliseconds on one core. peer: a checkout of the original. Raises StudioError if it cannot be run."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
            files = write_stand_ins(Path(folder))
            with torch.inference_mode():
                return _measured(files, peer, rounds)
    finally:
        torch.set_num_threads(threads)


def _measured(files: dict[str, Path], peer: Path | None, rounds: int) -> BenchmarkFigures:
    ours, state = _ours(files)
    theirs = {} if peer is None else _theirs(peer, state)
    took = _least({f"ours {name}": work for name, work in ours.items()} | theirs, rounds)
    mine = {name: round(took[f"ours {name}"], 3) for name in ours}
    face = sum(mine[name] for name in PARTS)
    share = mine[f"network of {BATCH} faces"] / BATCH / mine["network"]
    figures: BenchmarkFigures = {
        "ms": mine,
        "together_ms": round(face, 2),
        "budget": f"{'met' if face <= BUDGET_MS else 'missed'}: {face:.2f} of at most {BUDGET_MS} ms a face",
        "batch": f"{'met' if share <= BATCH_BAR else 'missed'}: {share:.2f} of the single cost each, at most "
        f"{BATCH_BAR}",
    }
    if not theirs:
        return figures | {"original_ms": NO_PEER}
    original = {name.removeprefix("original "): round(ms, 3) for name, ms in took.items() if name in theirs}
    ratios = {name: round(original[name] / mine[name], 2) for name in original if name in mine}
    return figures | {"original_ms": original, "original_over_this": ratios}


def _least(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the least milliseconds of each call, measured in turn.

    Each is called once right before it is measured, so that the weights of all are equally near in the caches.
    """
    least = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            work()
            start = time.process_time()
            work()
            least[name] = min(least[name], (time.process_time() - start) * 1e3)
    return least


def _ours(files: dict[str, Path]) -> tuple[dict[str, Callable[[], object]], dict[str, Any]]:
    import torch

    from engines.dhlive.control.control_image import ControlPainter
    from engines.dhlive.crop_painter import CropPainter
    from engines.dhlive.file_names import MOUTHS
    from engines.dhlive.files import present
    from engines.dhlive.generation import Generation
    from engines.dhlive.mouth import Mouth
    from engines.dhlive.networks.checkpoints import load_mouth
    from engines.dhlive.voice.listener import Listener
    from harness.tiny.dhlive import landmarks_of, placement, stand_in_mesh

    generation, rng = Generation.MINI2, np.random.default_rng(5)
    geometry = generation.geometry
    mouth = Mouth.load(generation, files)
    person = mouth.known(rng.normal(0, 1, 80))
    width, height = geometry.window
    windows = torch.rand(BATCH, 3, height, width)
    one, several = mouth.network([person]), mouth.network([person] * BATCH)
    matrix, mesh = placement(geometry.crop), stand_in_mesh()
    control = ControlPainter(mesh, mouth.files.offsets, geometry.crop)
    landmarks, bent = landmarks_of(mesh, matrix), np.array([30, 20, 10, 0, 0, 0], np.float32)
    drawn = torch.from_numpy(control.draw(bent, matrix, landmarks))[None]
    painter = CropPainter(geometry, mouth.files.edges, mouth.files.window)
    crop = torch.rand(1, 3, geometry.crop, geometry.crop)
    listener = Listener(mouth.audio, geometry.sound_rate)
    listener.append(np.zeros(4_000, np.int16))
    block = rng.integers(-9_000, 9_000, 1920).astype(np.int16)

    def hear() -> object:
        listener.append(block)
        return listener.next_output()

    mel, silent = torch.rand(1, 2, 80), (torch.zeros(2, 1, 192), torch.zeros(2, 1, 192))
    return {
        "network": lambda: one(windows[:1]),
        f"network of {BATCH} faces": lambda: several(windows),
        "audio": hear,
        "audio network": lambda: mouth.audio(mel, silent),
        "control image": lambda: control.draw(bent, matrix, landmarks),
        "crop, network in it": lambda: painter.paint(crop, drawn, one),
    }, {"mouth": load_mouth(present(files, MOUTHS[generation]))[1].state_dict(), "audio": mouth.audio.state_dict()}


def _theirs(checkout: Path, state: dict[str, Any]) -> dict[str, Callable[[], object]]:
    """Return calls of the original's own code with the same weights.

    The original draws its mesh on a graphics card, which is not measured.
    """
    import torch

    sys.path.insert(0, str(checkout.absolute()))
    try:
        models = importlib.import_module("talkingface.models.DINet_mini")
        sound = importlib.import_module("talkingface.models.audio2bs_lstm")
    except ImportError as error:
        raise StudioError(
            f"{checkout} is not a checkout of DH_live that runs here ({error}); see its README."
        ) from None
    finally:
        sys.path.pop(0)
    pipeline = models.DINet_mini_pipeline2(3, 12, cuda=False).eval()
    pipeline.infer_model.load_state_dict(state["mouth"])
    audio = sound.Audio2Feature().eval()
    audio.load_state_dict(state["audio"])
    side, height, width = models.model_size, models.input_height, models.input_width
    style, window = torch.rand(1, 64), torch.rand(1, 3, height, width)
    crop, control = torch.rand(1, 4, side, side), torch.rand(1, 4, side, side)
    mel, hidden = torch.rand(1, 2, 80), torch.zeros(2, 1, 192)

    def network() -> object:
        pipeline.infer_model.ref_in_feature = style
        return pipeline.infer_model.interface(window)

    return {
        "original network": network,
        "original audio network": lambda: audio(mel, hidden, hidden),
        "original crop, network in it": lambda: pipeline(crop, control, style),
    }
