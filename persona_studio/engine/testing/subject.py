"""An engine under test, with what every rule tries it on."""

import atexit
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import ClassVar, Generic, TypeVar
from unittest import SkipTest

import cv2

from engines.api import Engine
from shared.avatar.build import add_avatar
from shared.avatar.model import Avatar, load_avatar
from shared.avatar.samples import RIGHTS, sample_portrait, write_body_video

E = TypeVar("E", bound=Engine)
BODY_FRAMES = 12


class BrokenRuleError(AssertionError):
    """An engine breaks a rule; the message says how, in one sentence."""


def require(kept: object, sentence: str) -> None:
    """Raise BrokenRuleError with the sentence where something is not kept."""
    if not kept:
        raise BrokenRuleError(sentence)


class EngineSubject(Generic[E]):
    """An engine with an avatar.

    engine: prepared for `avatar`, whose folder is a copy. loaded: names of the modules there were before its own was
    imported.
    """

    kind: ClassVar[type[Engine]]

    def __init__(
        self, make: Callable[[], E], avatar: Avatar | None = None, loaded: Iterable[str] | None = None
    ) -> None:
        self.loaded = frozenset(sys.modules if loaded is None else loaded)
        self.make = make
        self.engine = make()
        require(isinstance(self.engine, self.kind), f"It is no {self.kind.__name__}.")
        self.info = self.engine.info
        self._avatar = avatar

    @cached_property
    def avatar(self) -> Avatar:
        """The avatar that it is tried on, in a folder of its own."""
        made = self.fresh_avatar()
        self.engine.prepare(made)
        return made

    def fresh_avatar(self) -> Avatar:
        """Another copy of the avatar, of which this engine has measured nothing."""
        made = copied(self._avatar or default_avatar(self.info.output != "roi"))
        for path in made.folder.glob(f"{self.info.name}-*"):
            path.unlink()
        return made

    def check_available(self) -> None:
        """Raise SkipTest where the engine cannot run here."""
        if (problem := self.engine.probe()) is not None:
            raise SkipTest(problem.reason)


def folder() -> Path:
    """An empty folder that is removed when the process ends."""
    made = Path(tempfile.mkdtemp(prefix="studio-conformance-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def copied(avatar: Avatar) -> Avatar:
    """A copy of an avatar in a folder that is removed when the process ends."""
    into = folder()
    shutil.copytree(avatar.folder, into, dirs_exist_ok=True)
    return replace(avatar, folder=into)


@cache
def default_avatar(body: bool) -> Avatar:
    """The sample portrait as an avatar. body: on a short video of a swaying body."""
    with tempfile.TemporaryDirectory(prefix="studio-conformance-") as scratch:
        portrait, video = Path(scratch, "portrait.png"), Path(scratch, "body.mp4")
        image = sample_portrait()
        cv2.imwrite(str(portrait), image[..., ::-1])
        if body:
            write_body_video(video, image, BODY_FRAMES)
        made = load_avatar(add_avatar(Path(scratch), "sample", portrait, video if body else None, RIGHTS))
        kept = copied(made)
    return load_avatar(kept.folder)
