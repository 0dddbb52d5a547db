"""Shared material of DH_live's tests: an avatar with a body film, stand-ins for every file, engines that use them."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from engines.dhlive.engine import DhliveEngine
from engines.dhlive.networks.old import OldNetwork
from engines.dhlive.old.engine import OldDhliveEngine
from harness.by_rule import by_rule
from harness.tiny.dhlive import write_stand_ins
from shared.avatar.build import add_avatar
from shared.avatar.model import Avatar, load_avatar
from shared.avatar.samples import RIGHTS, sample_portrait, write_body_video

BODY_FRAMES = 20


def folder() -> Path:
    """Make a folder that is removed when the process ends."""
    made = Path(tempfile.mkdtemp(prefix="studio-dhlive-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@cache
def stand_ins() -> dict[str, Path]:
    """Return the stand-ins for all files, by their names in the manifest."""
    return write_stand_ins(folder())


class StandInEngine(DhliveEngine):
    """The engine with stand-ins for its files."""

    def probe(self) -> None:
        return None

    def files(self) -> dict[str, Path]:
        return stand_ins()


class OldStandIn(OldDhliveEngine):
    """The old network's engine with stand-ins for its files."""

    def probe(self) -> None:
        return None

    def files(self) -> dict[str, Path]:
        return stand_ins()


class NarrowOldStandIn(OldStandIn):
    """`OldStandIn` with a network that has a thirty-second of the channels."""

    def network(self, files: dict[str, Path]) -> OldNetwork:
        narrow = by_rule(OldNetwork(4), "old")
        assert isinstance(narrow, OldNetwork)
        narrow.eval().requires_grad_(False)
        return narrow


@cache
def filmed() -> Avatar:
    """Return the sample portrait on a film of itself that sways, prepared for both engines."""
    home = folder()
    portrait = sample_portrait()
    cv2.imwrite(str(home / "portrait.png"), np.ascontiguousarray(portrait[..., ::-1]))
    write_body_video(home / "body.mp4", portrait, BODY_FRAMES)
    avatar = load_avatar(add_avatar(home, "filmed", home / "portrait.png", home / "body.mp4", RIGHTS))
    StandInEngine().prepare(avatar)
    OldStandIn().prepare(avatar)
    return avatar
