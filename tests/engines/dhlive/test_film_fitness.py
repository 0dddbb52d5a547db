"""The frames of a film that are used, and whether its mouth is closed: with the film's report and without one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from engines.dhlive.asset.film import nearest_shown
from engines.dhlive.asset.film_fitness import check_closed_mouth, fitness, shown_frames
from shared.avatar.film.report import FilmReport, Loop, LoopPart, Stretch
from shared.avatar.model import Avatar
from shared.errors import StudioError
from tests.support.engines.dhlive_material import filmed

pytestmark = pytest.mark.apart

FRAMES = 20


def avatar(folder: Path, *talking: tuple[int, int], loop: tuple[int, int] = (2, 18), report: bool = True) -> Avatar:
    """Return the filmed avatar with a report of these stretches."""
    if report:
        stretches = tuple(Stretch(kind="talking", first=first, end=end) for first, end in talking)
        told: Any = {"frames": FRAMES, "fps": 25.0, "shots": (), "stretches": stretches, "still": 0}
        FilmReport(loop=Loop(parts=(LoopPart(first=loop[0], end=loop[1]),)), **told).save(folder)
    plate = replace(filmed().plate)
    plate.order = np.arange(*loop, dtype=np.int32)
    return replace(filmed(), folder=folder, plate=plate)


def mouths(moving: bool) -> NDArray[np.float64]:
    """Return (16, 478, 3) faces whose lips are apart by a third of their width, always or in every second frame."""
    points = np.zeros((16, 478, 3))
    points[:, 291, 0], points[:, 17, 1] = 30.0, 10.0
    if moving:
        points[::2, 17, 1] = 16.0
    return points


def test_only_the_frames_that_are_played_are_used(tmp_path: Path) -> None:
    shown = avatar(tmp_path, loop=(5, 9))
    assert shown_frames(shown.plate).tolist() == [5, 6, 7, 8]
    assert nearest_shown(shown.plate).tolist() == [0] * 6 + [1, 2] + [3] * 12
    assert fitness(shown)[0] == "4 of 20 frames are played, 0.2 seconds."


def test_speech_in_what_is_played_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"speaks in 50 % of its frames \(at 0.1-0.4 s\)") as refused:
        check_closed_mouth(avatar(tmp_path, (0, 10)), mouths(moving=True))
    assert "\n" not in str(refused.value) and str(refused.value).endswith(".")
    assert fitness(avatar(tmp_path, (0, 10)))[-1] == "The mouth is closed in 50 % of them."
    check_closed_mouth(avatar(tmp_path, (0, 4)), mouths(moving=True))  # an eighth of what is played
    check_closed_mouth(avatar(tmp_path, (0, 2), (18, 20)), mouths(moving=True))  # none of what is played


def test_a_smile_is_no_speech(tmp_path: Path) -> None:
    check_closed_mouth(avatar(tmp_path, (0, 20)), mouths(moving=False))


def test_without_a_report_the_movement_counts(tmp_path: Path) -> None:
    check_closed_mouth(avatar(tmp_path, report=False), mouths(moving=False))
    with pytest.raises(StudioError, match="speaks in 100 % of its frames; DH_live needs"):
        check_closed_mouth(avatar(tmp_path, report=False), mouths(moving=True))
