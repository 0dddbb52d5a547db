"""Contact sheet of a film: sample frames and a timeline of its stretches."""

from collections.abc import Callable

import cv2
import numpy as np

from shared.avatar.film.report import FilmReport, Kind
from shared.media.array_types import ImageArray

COLUMNS, ROWS, CELL_PX, GAP_PX, BAR_PX = 6, 4, 200, 6, 18
GROUND, INK = (24, 24, 28), (235, 235, 235)
CHOSEN = (90, 200, 120)
COLOURS: dict[Kind, tuple[int, int, int]] = {
    "absent": (120, 120, 128),
    "other_person": (200, 90, 200),
    "covered": (225, 130, 60),
    "blurred": (90, 140, 230),
    "turned_away": (220, 200, 80),
    "talking": (80, 190, 190),
    "closed_mouth": (90, 110, 110),
    "excluded": (210, 70, 70),
}


def draw_sheet(report: FilmReport, frame: Callable[[int], ImageArray]) -> ImageArray:
    """Return the sheet as (H, W, 3) uint8 RGB.

    The first image is the still; the others are spread over the film, each with its time and its kinds of stretches.
    Below are timelines of the whole film, one for each kind of stretch and one for the loop. frame: returns the
    (H, W, 3) uint8 RGB frame of a number.
    """
    spread = np.unique(np.linspace(0, report.frames - 1, COLUMNS * ROWS - 1).round().astype(int))
    cells = [_cell(report, number, frame(number)) for number in (report.still, *map(int, spread))]
    rows = [np.hstack(_filled(cells[at : at + COLUMNS])) for at in range(0, len(cells), COLUMNS)]
    width = rows[0].shape[1]
    kinds: tuple[Kind, ...] = tuple(kind for kind in COLOURS if any(each.kind == kind for each in report.stretches))
    bars = [
        _bar(report, width, kind.replace("_", " "), COLOURS[kind],
             [(each.first, each.end) for each in report.stretches if each.kind == kind])
        for kind in kinds
    ]  # fmt: skip
    bars.append(_bar(report, width, "loop", CHOSEN, [(part.first, part.end) for part in report.loop.parts]))
    return np.asarray(np.vstack([*rows, *bars]), np.uint8)


def _cell(report: FilmReport, number: int, rgb: ImageArray) -> ImageArray:
    height, width = rgb.shape[:2]
    scale = CELL_PX / max(height, width)
    small = cv2.resize(rgb, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA)
    cell = np.full((CELL_PX + 20 + GAP_PX, CELL_PX + GAP_PX, 3), GROUND, np.uint8)
    top, left = (CELL_PX - small.shape[0]) // 2, (CELL_PX - small.shape[1]) // 2
    cell[top : top + small.shape[0], left : left + small.shape[1]] = small
    there = [each.kind for each in report.stretches if each.first <= number < each.end]
    kinds = [kind.replace("_", " ") for kind in there if kind != "closed_mouth"]  # most frames have it; see its bar
    colour = INK
    if number == report.still:
        cv2.rectangle(cell, (0, 0), (CELL_PX - 1, CELL_PX - 1), CHOSEN, 3)
        kinds, colour = ["still", *kinds], CHOSEN
    text = f"{number / report.fps:.1f} s {' '.join(kinds)}"
    cv2.putText(cell, text, (2, CELL_PX + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
    return cell


def _filled(row: list[ImageArray]) -> list[ImageArray]:
    return [*row, *[np.full_like(row[0], GROUND)] * (COLUMNS - len(row))]


def _bar(
    report: FilmReport, width: int, title: str, colour: tuple[int, int, int], parts: list[tuple[int, int]]
) -> ImageArray:
    bar = np.full((BAR_PX, width, 3), GROUND, np.uint8)
    cv2.putText(bar, title, (2, BAR_PX - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, INK, 1, cv2.LINE_AA)
    left, room = 110, width - 116
    bar[4:-4, left : left + room] = (60, 60, 66)
    for first, end in parts:
        a, b = (
            left + first * room // report.frames,
            left + max(first * room // report.frames + 1, end * room // report.frames),
        )
        bar[4:-4, a:b] = colour
    return bar
