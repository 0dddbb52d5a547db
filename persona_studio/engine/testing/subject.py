"""An engine under test, with the avatar that all rules use."""

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
    """An engine breaks a rule; the message is one sentence that says how."""


def require(kept: object, sentence: str) -> None:
    """Raise BrokenRuleError with the sentence unless `kept` is true."""
    if not kept:
        raise BrokenRuleError(sentence)


class EngineSubject(Generic[E]):
    """An engine with an avatar.

    make: returns a new instance of the engine. engine: an instance that is prepared for `avatar`, whose folder is a
    copy. loaded: names of the modules that were loaded before the engine's own module was imported.
    """

    kind: ClassVar[type[Engine]]

    def __init__(
        self, make: Callable[[], E], avatar: Avatar | None = None, loaded: Iterable[str] | None = None
    ) -> None:
        self.loaded = frozenset(sys.modules if loaded is None else loaded)
        self.make = make
        self.engine = make()
        require(isinstance(self.engine, self.kind), f"It is not a {self.kind.__name__}.")
        self.info = self.engine.info
        self._avatar = avatar

    @cached_property
    def avatar(self) -> Avatar:
        """The avatar for the tests, in a separate folder and prepared by the engine."""
        made = self.fresh_avatar()
        self.engine.prepare(made)
        return made

    def fresh_avatar(self) -> Avatar:
        """Return another copy of the avatar, without files of this engine."""
        made = copied(self._avatar or default_avatar(self.info.output != "roi"))
        for path in made.folder.glob(f"{self.info.name}-*"):
            path.unlink()
        return made

    def check_available(self) -> None:
        """Raise SkipTest if the engine cannot run on this machine."""
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
    """Return an avatar of the sample portrait. body: place it on a short video of a swaying body."""
    with tempfile.TemporaryDirectory(prefix="studio-conformance-") as scratch:
        portrait, video = Path(scratch, "portrait.png"), Path(scratch, "body.mp4")
        image = sample_portrait()
        cv2.imwrite(str(portrait), image[..., ::-1])
        if body:
            write_body_video(video, image, BODY_FRAMES)
        made = load_avatar(add_avatar(Path(scratch), "sample", portrait, video if body else None, RIGHTS))
        kept = copied(made)
    return load_avatar(kept.folder)
