"""Checks that a body film is suitable: a face in every frame shown, a closed mouth, 5 to 30 seconds long.

A film that was analysed when the avatar was added has a report of where its person speaks, and only a part of it is
played. For an older avatar all frames are played, and this module judges the mouth as the original does.
"""

import numpy as np
from numpy.typing import NDArray

from shared.avatar.film.report import FilmReport, read_film_report
from shared.avatar.model import Avatar
from shared.avatar.plate import Plate
from shared.errors import StudioError

LIP_LEFT, LIP_RIGHT, LIP_ABOVE, LIP_BELOW = 61, 291, 0, 17  # points of a tracked face
STAYS = 0.04  # spread of the lips' opening, as a share of their width, up to which a mouth counts as still
OPENS, SPEAKS = 0.08, 0.15  # change of the lips' opening between frames, and share of such frames, that count as speech
LEAST_S, MOST_S = 5.0, 30.0  # length of the film, as the original advises
NAMED = 3  # number of stretches that an error sentence lists


def check_body(avatar: Avatar) -> None:
    """Raise StudioError if an avatar has no film of its own face."""
    if avatar.own_plate or avatar.plate is None:
        raise StudioError(
            f"Avatar '{avatar.name}' has no body film, and DH_live moves the mouth of a filmed face; add an avatar with"
            " a film of 5 to 30 seconds, or choose another engine (`studio engines`)."
        )


def shown_frames(plate: Plate) -> NDArray[np.int64]:
    """Return the numbers of the played frames, (M,), in the film's order."""
    return np.arange(len(plate)) if plate.order is None else np.unique(plate.order).astype(np.int64)


def check_closed_mouth(avatar: Avatar, points: NDArray[np.float64]) -> None:
    """Raise StudioError if the person speaks in the film.

    points: the face in the played frames, (N, 478, 3). A mouth that stays open, as in a smile, does not count as
        speaking.
    """
    width = np.linalg.norm(points[:, LIP_RIGHT] - points[:, LIP_LEFT], axis=1)
    opening = np.linalg.norm(points[:, LIP_BELOW] - points[:, LIP_ABOVE], axis=1) / (width + 1e-6)
    shown = shown_frames(avatar.plate)
    report = read_film_report(avatar.folder)
    if report is None:
        share, at = float(np.mean(np.abs(np.diff(opening)) > OPENS)), ""
    else:
        spoken = _spoken(report, shown) if opening.std() > STAYS else []
        share = sum(map(len, spoken)) / len(shown)
        places = (f"{each[0] / report.fps:.1f}-{(each[-1] + 1) / report.fps:.1f}" for each in spoken[:NAMED])
        at = f" (at {', '.join(places)} s)"
    if share >= SPEAKS:
        raise StudioError(
            f"The person in the film of avatar '{avatar.name}' speaks in {100 * share:.0f} % of its frames{at}; "
            "DH_live needs a closed mouth: leave those seconds out (`--exclude`) or add a film of 5 to 30 seconds "
            "without speech."
        )


def fitness(avatar: Avatar) -> list[str]:
    """Return sentences that say which part of the film is played and what is unsuitable about it."""
    plate, shown = avatar.plate, shown_frames(avatar.plate)
    seconds = len(shown) / plate.fps
    said = [f"{len(shown)} of {len(plate)} frames are played, {seconds:.1f} seconds."]
    if seconds < LEAST_S:
        said.append(f"That is short, so movements repeat soon; film {LEAST_S:.0f} to {MOST_S:.0f} seconds.")
    if seconds > MOST_S:
        said.append(f"That is more than the {MOST_S:.0f} seconds that are enough; measuring takes as long as the film.")
    report = read_film_report(avatar.folder)
    if report is None:
        return [*said, "The film has no report; add the avatar again for one."]
    spoken = sum(map(len, _spoken(report, shown)))
    return [*said, f"The mouth is closed in {100 - 100 * spoken / len(shown):.0f} % of them."]


def _spoken(report: FilmReport, shown: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the given frames that belong to each stretch in which the person speaks."""
    stretches = [each for each in report.stretches if each.kind == "talking"]
    parts = [shown[(shown >= each.first) & (shown < each.end)] for each in stretches]
    return [part for part in parts if len(part)]
