"""What PersonaLive's tests share: weights of tiny networks, an engine on them, and a driver."""

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")
pytest.importorskip("diffusers", reason="diffusers is not installed: `make setup-torch` brings it")
pytest.importorskip("transformers", reason="transformers is not installed: `make setup-torch` brings it")

from benchmarks.engine import sample_avatar  # noqa: E402
from benchmarks.tiny_personalive import make_weights  # noqa: E402
from services.generator.engine import Driving  # noqa: E402
from services.generator.engines.personalive.loading import load_networks  # noqa: E402
from services.generator.engines.personalive.networks import Networks  # noqa: E402
from services.generator.engines.personalive.quality import Rung  # noqa: E402
from services.generator.engines.personalive.session import PersonaLiveSession  # noqa: E402
from shared.avatar import Avatar  # noqa: E402

torch.set_num_threads(1)  # such small networks gain nothing by more
FRAME = int(1_000_000 / Fraction(25))
SMALLEST = Rung("256", 128, True, 1)  # smaller than any of the ladder: the machinery is the same


@cache
def avatar() -> Avatar:
    return sample_avatar()


@cache
def networks(folder: Path) -> Networks:
    make_weights(folder)
    return load_networks(folder, torch.device("cpu"), torch.float32)


def session(of: Networks, seed: int = 1, who: Avatar | None = None) -> PersonaLiveSession:
    return PersonaLiveSession(who or avatar(), of, SMALLEST, seed)


def driver(count: int, start: int = 0, seed: int = 0) -> Iterator[Driving]:
    """A face that moves along, frame by frame."""
    own = avatar()
    for i in range(start, start + count):
        picture = np.roll(own.roi, (5 * i + 40 * seed, 3 * i), (0, 1))
        yield Driving(i * FRAME, own.face, own.face, picture)
