"""The control image, against a slow reference written from the same rules, by pixel and by triangle."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from engines.dhlive.control.control_image import ControlPainter, ControlRules
from engines.dhlive.control.mesh import TRACKED, FaceMesh, mesh_lines, opening_of, parse_mesh, read_blend_shapes
from harness.tiny.dhlive import landmarks_of, placement, stand_in_mesh, stand_in_offsets, write_blend_shapes
from shared.errors import StudioError

SIDE = 92
MOUTHS = {
    "at rest": [0.0, 0, 0, 0, 0, 0],
    "open": [30.0, 20, 10, 0, 0, 0],
    "rounded": [4.0, 2, -3, 6, 12, -4],
    "further than a mouth": [60.0, 60, 40, -40, 30, -30],
}
POSES = {
    "straight": placement(SIDE),
    "turned": placement(SIDE, yaw=25),
    "beyond the crop": placement(SIDE, shift=(60, 50)),
}
Floats = NDArray[np.float64]


def slow(
    mesh: FaceMesh, offsets: NDArray[np.float32], mouth: list[float], matrix: Floats, landmarks: Floats, browser: bool
) -> Floats:
    """Draw (4, S, S) by the rules, in order: each vertex by its category, each pixel by all triangles over it."""
    points, warps = np.zeros((len(mesh.vertices), 3)), np.zeros((len(mesh.vertices), 2))
    for number, (vertex, category) in enumerate(zip(mesh.vertices, mesh.categories, strict=True)):
        p = vertex.copy()
        if category < 3 and (category >= 0 or not browser):
            p = p + sum(mouth[i] * offsets[i, number].astype(np.float64) for i in range(6))
        elif category == 4:
            p[1] += (mouth[0] + mouth[1]) / 3 + (6 if browser else 4)
            p[2] += max((mouth[0] + mouth[1]) / 3.9, 0)
        points[number] = (matrix @ [*p, 1.0])[:3]
        if category != -1 and number < TRACKED:
            warps[number] = (2 * points[number, :2] / SIDE - 1) - (2 * landmarks[number] / SIDE - 1)
    image, depth = np.full((4, SIDE, SIDE), 0.5), np.full((SIDE, SIDE), np.inf)
    image[3] = 0
    at = np.arange(SIDE) + (0.5 if browser else 0.25)
    x, y = np.meshgrid(at, at)
    for corners in mesh.triangles:
        a, b, c = points[corners]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if area >= 0:
            continue
        beta = ((x - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (y - a[1])) / area
        gamma = ((b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1])) / area
        alpha = 1 - beta - gamma
        z = alpha * a[2] + beta * b[2] + gamma * c[2]
        shown = (alpha >= 0) & (beta >= 0) & (gamma >= 0) & (z < depth)
        depth[shown] = z[shown]
        kinds = mesh.categories[corners]
        flat = kinds.min() == kinds.max()
        kind = np.full(x.shape, kinds[0]) if flat else alpha * kinds[0] + beta * kinds[1] + gamma * kinds[2]
        warp = (
            alpha[..., None] * warps[corners[0]]
            + beta[..., None] * warps[corners[1]]
            + gamma[..., None] * warps[corners[2]]
        )
        image[:, shown] = (
            np.array([colour(k, w) for k, w in zip(kind[shown], warp[shown], strict=True)]).reshape(-1, 4).T
        )
    return image


def colour(kind: float, warp: Floats) -> tuple[float, float, float, float]:
    if kind == 2:
        return 1, 0, 0, 1
    if 2 < kind < 2.1:
        return 128 / 255, 0, 0, 1
    if kind == 3:
        return 0, 1, 0, 1
    if kind == 4:
        return 0, 0, 1, 1
    if 3 < kind < 4 or kind == -2:
        return 0, 0, 0, 1
    return (warp[0] + 1) / 2, (warp[1] + 1) / 2, 0.5, 1


@cache
def mesh() -> FaceMesh:
    return stand_in_mesh()


@pytest.mark.parametrize("rules", ControlRules)
@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize("mouth", MOUTHS)
def test_it_is_the_slow_reference(mouth: str, pose: str, rules: ControlRules) -> None:
    offsets, matrix = stand_in_offsets(), POSES[pose]
    landmarks = landmarks_of(mesh(), matrix)
    coefficients = np.array(MOUTHS[mouth], np.float32)
    fast = ControlPainter(mesh(), offsets, SIDE, rules).draw(coefficients, matrix, landmarks)
    wanted = slow(mesh(), offsets, MOUTHS[mouth], matrix, landmarks.astype(np.float64), rules is ControlRules.BROWSER)
    wrong = np.abs(fast - wanted).max(axis=0) > 1e-5
    assert wrong.mean() < 2e-4  # pixels on an edge, which rounding assigns to either side
    assert (fast[3] == 1).mean() > 0.1


def test_every_class_of_pixel_is_drawn() -> None:
    """The open mouth shows both lips, both rows of teeth, the darkness in between and the moved skin."""
    matrix = POSES["straight"]
    painter = ControlPainter(mesh(), stand_in_offsets(), SIDE)
    image = painter.draw(np.array(MOUTHS["open"], np.float32), matrix, landmarks_of(mesh(), matrix))
    red, green, blue, alpha = image
    assert (red == 1).any() and np.isclose(red, 128 / 255)[blue == 0].any()
    assert (green == 1).any() and (blue == 1).any() and ((image[:3] == 0).all(axis=0) & (alpha == 1)).any()
    skin = (blue == 0.5) & (alpha == 1)
    assert np.abs(image[:2, skin] - 0.5).max() > 0.01 and (alpha == 0).any()


def test_a_face_at_rest_is_not_moved() -> None:
    matrix = POSES["straight"]
    rest = np.zeros(6, np.float32)
    image = ControlPainter(mesh(), stand_in_offsets(), SIDE).draw(rest, matrix, landmarks_of(mesh(), matrix))
    assert np.abs(image[:2, image[2] == 0.5] - 0.5).max() < 1e-5  # eight bits would move it by 0.4 pixels


def test_a_mesh_is_written_as_it_was_read() -> None:
    lines = mesh_lines(mesh())
    assert mesh_lines(parse_mesh(lines, "it")) == lines


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[1:], "266 vertices and 460 triangles"),
        (lambda lines: ["v 1 2 nan 0 0\n", *lines[1:]], "is damaged at 'v 1 2 nan 0 0'"),
        (lambda lines: [*lines[:-1], "f 1 2 268\n"], "wrong numbers"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "wrong numbers"),
    ],
)  # fmt: skip
def test_another_mesh_is_refused_in_one_sentence(change: object, said: str) -> None:
    assert callable(change)
    with pytest.raises(StudioError, match=said):
        parse_mesh(change(mesh_lines(mesh())), "it")


def test_blend_shapes_are_read_from_their_image(tmp_path: Path) -> None:
    write_blend_shapes(tmp_path / "table.png", stand_in_offsets())
    found = read_blend_shapes(tmp_path / "table.png")
    assert np.abs(found[:, :TRACKED] - stand_in_offsets()[:, :TRACKED]).max() <= 0.5 / 127.5 + 1e-6
    assert found.shape == (6, 267, 3) and np.all(found[:, TRACKED + 60 :] == found[0, -1, 0])
    assert opening_of(found)[2] < -1  # the third coefficient opens the mouth most
    cv2.imwrite(str(tmp_path / "other.png"), np.zeros((3, 3), np.uint8))
    with pytest.raises(StudioError, match="not a table of blend shapes"):
        read_blend_shapes(tmp_path / "other.png")
