"""A person measured from a film: the mouth's crop and the head's position in each frame, and the person's appearance.

The steps and constants are those of the original's preparation on Linux, except that landmarks are not rounded to whole
pixels.
"""

import ast
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.api import PrepareProgress
from engines.dhlive.asset.film_fitness import check_closed_mouth, shown_frames
from engines.dhlive.asset.person import Person
from engines.dhlive.asset.placement import place_heads, smoothed
from engines.dhlive.control.mesh import TRACKED, FaceMesh
from engines.dhlive.file_names import LISTS, MEAN_FACE, TEMPLATE
from engines.dhlive.files import present, read_template
from engines.dhlive.generation import Generation
from shared.avatar.model import Avatar
from shared.avatar.plate import Plate
from shared.errors import StudioError
from shared.face.finder import FaceFinder
from shared.media.colour import i420_to_rgb
from shared.runtime.files import file_sha256

POINTS = 478
LIPS_OUTER = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
LOWER_FACE = [361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132]
# Four rings around the mouth, from the outside in, each from the left corner over the upper lip: points k and 20 - k
# are opposite each other.
LIP_RINGS = [
    [291, 409, 270, 269, 267, 0, 37, 39, 40, 185, 61, 146, 91, 181, 84, 17, 314, 405, 321, 375],
    [306, 408, 304, 303, 302, 11, 72, 73, 74, 184, 76, 77, 90, 180, 85, 16, 315, 404, 320, 307],
    [292, 407, 272, 271, 268, 12, 38, 41, 42, 183, 62, 96, 89, 179, 86, 15, 316, 403, 319, 325],
    [308, 415, 310, 311, 312, 13, 82, 81, 80, 191, 78, 95, 88, 178, 87, 14, 317, 402, 318, 324],
]
HALF_SIDE, ABOVE, BELOW = 0.46, 0.9, 1.1  # of the lower face's longer side; of that, above and below the lips' middle
UPPER_SHARE, LOWER_SHARE = 0.1, 0.7  # of the difference in lip gap from the mean face that each lip closes
RING_OUT = 0.32  # by which the mesh's ring extends beyond the face's edge
LEAST_SIDE_PX = 32


def measured_person(avatar: Avatar, files: dict[str, Path], progress: PrepareProgress) -> Person:
    """Measure the person in an avatar's film.

    files: by the manifest's names. Raises StudioError in one sentence if the film is not suitable or a file is missing.
    """
    from engines.dhlive.asset.references import reference_of

    plate = avatar.plate
    first = int(shown_frames(plate)[0])
    points = fit_points(avatar, progress)
    for run in runs(plate):
        points[run] = smoothed(points[run].reshape(len(points[run]), -1)).reshape(points[run].shape)
    side = Generation.MINI2.geometry.crop
    rects = crop_rects(points, plate.width, plate.height, avatar.name)
    scale = side / float(rects[0, 2] - rects[0, 0])
    cropped = (points - np.concatenate([rects[:, :2], np.zeros((len(rects), 1))], axis=1)[:, None]) * scale
    cropped[..., 2] -= cropped[..., 2].max(axis=1, keepdims=True)
    tracked, ring = read_lists(present(files, LISTS))
    mean = read_mean_face(present(files, MEAN_FACE))
    matrices, personal = place_heads(cropped, mean)
    mesh = personal_mesh(read_template(present(files, TEMPLATE)), close_lips(personal, mean), tracked, ring)
    uid = f"studio_{file_sha256(avatar.folder / 'plate.npz')[:32]}"
    landmarks = cropped[:, tracked[:TRACKED], :2]
    nearest = nearest_shown(plate)
    return Person(
        uid=uid,
        mesh=mesh,
        reference=np.round(reference_of(plate, first, rects[0], cropped[0], files), 6),
        rects=rects[nearest],
        matrices=np.round(matrices, 5)[nearest],
        landmarks=np.round(landmarks, 1)[nearest],
    )


def nearest_shown(plate: Plate) -> NDArray[np.int64]:
    """Return, for each plate frame, the number of the nearest played frame, counted among the played ones, (N,).

    Frames that are not played have an entry too.
    """
    shown, every = shown_frames(plate), np.arange(len(plate))
    after = np.searchsorted(shown, every).clip(0, len(shown) - 1)
    before = (after - 1).clip(0)
    return np.where(np.abs(shown[before] - every) <= np.abs(shown[after] - every), before, after)


def runs(plate: Plate) -> list[slice]:
    """Return the played frames in runs that were filmed without interruption, as slices of their numbers."""
    shown = shown_frames(plate)
    follows = (np.diff(shown) == 1) & ~np.isin(shown[1:], [] if plate.cuts is None else plate.cuts)
    starts = [0, *(np.flatnonzero(~follows) + 1).tolist()]
    return [slice(first, end) for first, end in zip(starts, [*starts[1:], len(shown)], strict=True)]


def fit_points(avatar: Avatar, progress: PrepareProgress) -> NDArray[np.float64]:
    """Return the face in each played frame, (N, 478, 3) in the frame's pixels.

    Raises StudioError if the film is not suitable.
    """
    points = follow_face(avatar.plate, avatar.name, progress)
    check_closed_mouth(avatar, points)
    return points


def shown_points(avatar: Avatar, progress: PrepareProgress) -> NDArray[np.float64]:
    """Return the face for each plate frame, (N, 478, 3); a frame that is not played has the nearest played one's."""
    return fit_points(avatar, progress)[nearest_shown(avatar.plate)]


def follow_face(plate: Plate, name: str, progress: PrepareProgress) -> NDArray[np.float64]:
    """Track the face in each played frame, (N, 478, 3) in its pixels. Raises StudioError if a frame has no face."""
    shown = shown_frames(plate)
    found = np.empty((len(shown), POINTS, 3))
    for run in runs(plate):
        finder = FaceFinder()
        for number in range(run.start, run.stop):
            progress(number, len(shown))
            face = finder.track(i420_to_rgb(plate.frame(int(shown[number]))))
            if face is None:
                raise StudioError(
                    f"The film of avatar '{name}' shows no face in frame {shown[number]}, and DH_live needs one in "
                    "each; cut the film to the part that shows the face."
                )
            found[number] = face.points
    progress(len(shown), len(shown))
    return found


def crop_rects(points: NDArray[np.float64], width: int, height: int, name: str) -> NDArray[np.int64]:
    """Return equally large even-sided squares around the mouth, (N, 4).

    Raises StudioError if one extends beyond the film or is tiny.
    """
    middle, face = points[:, LIPS_OUTER, :2].mean(axis=1), points[:, LOWER_FACE, :2]
    half = (face.max(axis=1) - face.min(axis=1)).max(axis=1)[:, None] * HALF_SIDE
    corners = np.trunc(np.concatenate([middle - half * (1, ABOVE), middle + half * (1, BELOW)], axis=1))
    corners = np.clip(corners, 0, [width, height, width, height])
    side = int((corners[:, 2:] - corners[:, :2]).mean()) // 2 * 2
    centre = ((corners[:, :2] + corners[:, 2:]) / 2).astype(np.int64)
    rects = np.concatenate([centre - side // 2, centre + side // 2], axis=1)
    if side < LEAST_SIDE_PX:
        raise StudioError(f"The face in the film of avatar '{name}' is too small for DH_live; film from closer up.")
    if rects.min() < 0 or rects[:, 2].max() > width or rects[:, 3].max() > height:
        raise StudioError(f"The face leaves the frame in the film of avatar '{name}'; film it further from the edge.")
    return np.asarray(rects, np.int64)


def close_lips(personal: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the personal face with the mean face's lip gap, (478, 3); the lower lip makes most of the change."""
    closed, inner = personal.copy(), LIP_RINGS[-1]
    for k in range(1, 10):
        gap = [float(np.linalg.norm(face[inner[k]] - face[inner[-k]])) for face in (mean, personal)]
        for ring in LIP_RINGS:
            closed[ring[k], 1] -= UPPER_SHARE * (gap[0] - gap[1])
            closed[ring[-k], 1] += LOWER_SHARE * (gap[0] - gap[1])
    return closed


def personal_mesh(template: FaceMesh, face: NDArray[np.float64], tracked: list[int], ring: list[int]) -> FaceMesh:
    """Return the template mesh with a person's face.

    tracked: indices among the 478 points that become the first vertices. ring: the vertices that the ring's vertices
        follow outwards.
    """
    vertices = template.vertices.copy()
    vertices[: len(tracked)] = face[tracked]
    middle = vertices[ring[:4] + ring[-4:]].mean(axis=0)
    outer = vertices[ring] + (vertices[ring] - middle) * RING_OUT
    outer[:, 2] = vertices[ring, 2]
    vertices[len(tracked) : len(tracked) + len(ring)] = outer
    return FaceMesh(np.round(vertices, 3), template.categories, template.triangles)


def read_lists(path: Path) -> tuple[list[int], list[int]]:
    """Read the original's lists of points from its source code without running it. Raises StudioError."""
    found: dict[str, list[int]] = {}
    try:
        for line in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
                found[line.targets[0].id] = _whole_numbers(line.value, found)
        tracked, ring = found["index_wrap"], found["index_edge_wrap"]
    except (OSError, SyntaxError, ValueError, KeyError):
        raise StudioError(
            f"{path} is not the authors' own file; add that with `studio weights add dhlive FILE...`."
        ) from None
    if len(tracked) != TRACKED + 1 or len(ring) != 21 or max(tracked) >= POINTS or max(ring) > TRACKED:
        raise StudioError(f"{path} has lists of points that this studio does not know; use the authors' own file.")
    return tracked, ring


def _whole_numbers(value: ast.expr, known: dict[str, list[int]]) -> list[int]:
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return _whole_numbers(value.left, known) + _whole_numbers(value.right, known)
    if isinstance(value, ast.Name):
        return known[value.id]
    return [int(each) for each in ast.literal_eval(value)]


def read_mean_face(path: Path) -> NDArray[np.float64]:
    """Read the canonical face that heads are measured against, (478, 3). Raises StudioError."""
    try:
        rows = [line.split()[1:4] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("v ")]
        mean = np.array(rows[:POINTS], np.float64)
    except (OSError, ValueError) as error:
        raise StudioError(f"{path} cannot be read ({error}); see `studio weights list`.") from None
    if mean.shape != (POINTS, 3) or not np.isfinite(mean).all():
        raise StudioError(f"{path} holds no face of {POINTS} points; use the authors' own file.")
    return mean
