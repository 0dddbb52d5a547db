"""Two commands that start at the same time in a new home: one makes the samples, and the other waits."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from services.local import samples as driver_samples
from shared.avatar import samples as avatar_samples
from shared.avatar.model import avatar_folder
from shared.avatar.samples import SAMPLE, SAMPLES, ensure_sample_avatars
from shared.runtime.progress import StageProgress

pytestmark = pytest.mark.unit


class SlowBuilder:
    """Makes a sample; does not finish before another command waits for it."""

    def __init__(self) -> None:
        self.made: list[Path] = []
        self.waited_for = threading.Event()
        self.at_work = threading.Lock()

    def make(self, path: Path) -> None:
        """Make the sample, which no other thread may do meanwhile."""
        assert self.at_work.acquire(blocking=False), "two at a time"
        assert self.waited_for.wait(60)
        path.mkdir(parents=True)
        self.made.append(path)
        self.at_work.release()

    def twice(self, ensure: Callable[[StageProgress], Any]) -> None:
        """Call `ensure` in two threads at the same time; the one that does not make the sample reports waiting."""
        with ThreadPoolExecutor(2) as both:
            for each in [both.submit(ensure, self.progress) for _ in range(2)]:
                each.result()

    def progress(self, stage: str, done: float) -> None:
        """Receive a report of progress, which must say that the command waits."""
        assert stage == "waiting for another studio's samples" and done == 0
        self.waited_for.set()


def test_the_driver_is_rendered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = SlowBuilder()
    avatar_folder(tmp_path, SAMPLE).mkdir(parents=True)

    def render(avatar: None, path: Path, progress: StageProgress) -> None:
        builder.make(path)

    monkeypatch.setattr(driver_samples, "_render_driver", render)
    monkeypatch.setattr(driver_samples, "load_avatar", lambda folder: None)
    builder.twice(lambda progress: driver_samples.ensure_sample_driver(tmp_path, progress))
    assert builder.made == [driver_samples.sample_driver(tmp_path)]


def test_the_avatars_are_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = SlowBuilder()

    def add(home: Path, name: str, *others: object, **film: object) -> Path:
        builder.make(avatar_folder(home, name))
        return avatar_folder(home, name)

    monkeypatch.setattr(avatar_samples, "add_avatar", add)
    monkeypatch.setattr(avatar_samples, "write_body_video", lambda *given: None)
    builder.twice(lambda progress: ensure_sample_avatars(tmp_path, progress))
    assert builder.made == [avatar_folder(tmp_path, name) for name in SAMPLES]
