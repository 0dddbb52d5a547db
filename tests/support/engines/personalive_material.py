"""Shared material of PersonaLive's tests: weights of tiny networks, an engine that uses them, and a driver."""

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")
pytest.importorskip("diffusers", reason="diffusers is not installed: `make setup-torch` brings it")
pytest.importorskip("transformers", reason="transformers is not installed: `make setup-torch` brings it")

from engines.api import DEFAULT_CONTEXT, Driving, RoiFrame, SessionContext  # noqa: E402
from engines.personalive.engine import PersonaLiveEngine  # noqa: E402
from engines.personalive.networks.loading import load_networks  # noqa: E402
from engines.personalive.networks.networks import PersonaLiveNetworks  # noqa: E402
from engines.personalive.options import PersonaLiveOptions  # noqa: E402
from engines.personalive.quality import Rung  # noqa: E402
from engines.personalive.session import PersonaLiveSession  # noqa: E402
from harness.by_rule import by_rule  # noqa: E402
from harness.sample_avatar import sample_avatar  # noqa: E402
from harness.tiny.personalive import make_weights  # noqa: E402
from shared.avatar.model import Avatar  # noqa: E402
from shared.runtime.arrays import to_bytes  # noqa: E402
from tests.parity.personalive_networks import EchoModule  # noqa: E402

torch.set_num_threads(1)  # such small networks gain nothing from more
FRAME_US = int(1_000_000 / Fraction(25))
SMALLEST = Rung("256", "small", 128, True, 1)  # smaller than any rung of the ladder, with the same machinery


@cache
def avatar() -> Avatar:
    return sample_avatar()


@cache
def networks(fresh: int = 0) -> PersonaLiveNetworks:
    """Return networks of tiny size, with a stand-in for the motion encoder, which would be half of the work.

    fresh: a number; networks for different numbers are separate objects.
    """
    with TemporaryDirectory() as folder:
        make_weights(Path(folder))
        found = load_networks(Path(folder), torch.device("cpu"), torch.float32)
    found.encode = by_rule(EchoModule(), "encode").eval().requires_grad_(False)
    return found


class TinyEngine(PersonaLiveEngine):
    """The engine with tiny networks, for which no weights are needed."""

    def probe(self) -> None:
        return None

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> PersonaLiveSession:
        options = context.options or self.options()
        assert isinstance(options, PersonaLiveOptions)
        return PersonaLiveSession(avatar, networks(), options, small=context.low_memory)


def session(of: PersonaLiveNetworks, seed: int = 1, who: Avatar | None = None) -> PersonaLiveSession:
    return PersonaLiveSession(who or avatar(), of, PersonaLiveOptions(seed=seed), SMALLEST)


def run(of: PersonaLiveSession, frames: list[Driving]) -> list[RoiFrame]:
    return [made for frame in frames for made in of.step(frame)]


def same(a: list[RoiFrame], b: list[RoiFrame]) -> bool:
    return [f.pts for f in a] == [f.pts for f in b] and all(
        np.array_equal(x.pixels, y.pixels) for x, y in zip(a, b, strict=True)
    )


def driver(count: int, start: int = 0, seed: int = 0) -> Iterator[Driving]:
    """Yield a driver whose image moves from frame to frame."""
    own = avatar()
    for i in range(start, start + count):
        frame = np.roll(own.roi, (5 * i + 40 * seed, 3 * i), (0, 1))
        yield Driving(i * FRAME_US, own.face, own.face, frame)


def state(of: PersonaLiveSession) -> bytes:
    """Return the session's state as bytes: all that later frames depend on."""
    return to_bytes(of.save())
