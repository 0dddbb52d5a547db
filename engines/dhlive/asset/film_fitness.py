"""Whether a body film is fit: a face in every frame that is shown, its mouth closed, 5 to 30 seconds of it.

A film that was understood when the avatar was added has a report that says where its person speaks, and plays a part of it only;
of an older avatar all frames are played, and the mouth is judged here as the original does.
"""

import numpy as np
from numpy.typing import NDArray

from shared.avatar.film.report import FilmReport, read_film_report
from shared.avatar.model import Avatar
from shared.avatar.plate import Plate
from shared.errors import StudioError

LIP_LEFT, LIP_RIGHT, LIP_ABOVE, LIP_BELOW = 61, 291, 0, 17  # points of a tracked face
STAYS = 0.04  # spread of the lips' opening, as a share of their width, up to which a mouth does not move
OPENS, SPEAKS = 0.08, 0.15  # change of the lips' opening between frames, and the share of frames that makes it speech
LEAST_S, MOST_S = 5.0, 30.0  # of film, as the original advises
NAMED = 3  # stretches that a sentence names


def check_body(avatar: Avatar) -> None:
    """Raises StudioError where an avatar has no film of its own face."""
    if avatar.own_plate or avatar.plate is None:
        raise StudioError(
            f"Avatar '{avatar.name}' has no body film, and DH_live moves the mouth of a filmed face; add an avatar with"
            " a film of 5 to 30 seconds, or choose another engine (`studio engines`)."
        )


def shown_frames(plate: Plate) -> tuple[int, int]:
    """(first, end) of the frames that are played."""
    return plate.loop or (0, len(plate))


def check_closed_mouth(avatar: Avatar, points: NDArray[np.float64]) -> None:
    """Raises StudioError where the person speaks in the film. points: (N, 478, 3) of the frames that are played. A mouth that
    is open and stays so, as in a smile, does not speak."""
    width = np.linalg.norm(points[:, LIP_RIGHT] - points[:, LIP_LEFT], axis=1)
    opening = np.linalg.norm(points[:, LIP_BELOW] - points[:, LIP_ABOVE], axis=1) / (width + 1e-6)
    first, end = shown_frames(avatar.plate)
    report = read_film_report(avatar.folder)
    if report is None:
        share, at = float(np.mean(np.abs(np.diff(opening)) > OPENS)), ""
    else:
        spoken = _spoken(report, first, end) if opening.std() > STAYS else []
        share = sum(b - a for a, b in spoken) / (end - first)
        at = " (at " + ", ".join(f"{a / report.fps:.1f}-{b / report.fps:.1f}" for a, b in spoken[:NAMED]) + " s)"
    if share >= SPEAKS:
        raise StudioError(
            f"The person in the film of avatar '{avatar.name}' speaks in {100 * share:.0f} % of its frames{at}; DH_live needs a"
            " closed mouth: leave those seconds out (`--exclude`) or add a film of 5 to 30 seconds without speech."
        )


def fitness(avatar: Avatar) -> list[str]:
    """Sentences: which part of the film is played, and what of it is not as it should be."""
    plate = avatar.plate
    first, end = shown_frames(plate)
    seconds = (end - first) / plate.fps
    said = [f"Frames {first} to {end - 1} of {len(plate)} are played, {seconds:.1f} seconds."]
    if seconds < LEAST_S:
        said.append(
            f"That is short: movements come again after {2 * seconds:.0f} seconds; film {LEAST_S:.0f} to {MOST_S:.0f}."
        )
    if seconds > MOST_S:
        said.append(f"That is more than the {MOST_S:.0f} seconds that are enough; measuring takes as long as the film.")
    report = read_film_report(avatar.folder)
    if report is None:
        return [*said, "The film has no report; add the avatar again for one."]
    spoken = sum(b - a for a, b in _spoken(report, first, end))
    return [*said, f"The mouth is closed in {100 - 100 * spoken / (end - first):.0f} % of them."]


def _spoken(report: FilmReport, first: int, end: int) -> list[tuple[int, int]]:
    """The parts of these frames in which the person speaks."""
    parts = [(max(first, each.first), min(end, each.end)) for each in report.stretches if each.kind == "talking"]
    return [(a, b) for a, b in parts if a < b]
