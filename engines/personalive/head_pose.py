"""Head pose from LivePortrait's motion extractor, transferred to the portrait and drawn for the pose guider."""

import math
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

SHIFT = 0.5  # share of the driver's own shift that the portrait follows
POINTS = (1, 2, 3, 4, 12, 15, 20)  # of the 21 key points, those that are drawn and that determine the face's box
COLOURS = ((255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255), (255, 0, 85))
DISC_RADIUS_PX = 4  # of a drawn disc
FACE_SIDE = 3.4  # side of a face's box, relative to the height of its key points above their middle


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Head poses of f frames.

    angles: (f, 3) degrees of pitch, yaw and roll; shift: (f, 3); scale: (f, 1); points: (f, 21, 3), the person's key
        points before rotation. float32.
    """

    angles: Tensor
    shift: Tensor
    scale: Tensor
    points: Tensor

    def frame(self, i: int) -> "HeadPose":
        """Return the pose of one frame."""
        at = slice(i, i + 1)
        return HeadPose(self.angles[at], self.shift[at], self.scale[at], self.points[at])


def read_pose(heads: dict[str, Tensor]) -> HeadPose:
    """Read the pose from the extractor's output heads.

    An angle is the mean of 66 bins of 3 degrees, starting at -97.5, weighted by their softmax.
    """
    bins = torch.stack([heads[name] for name in ("pitch", "yaw", "roll")], 1).softmax(-1)
    index = torch.arange(bins.shape[-1], dtype=bins.dtype, device=bins.device)
    angles = bins @ index * 3 - 97.5
    return HeadPose(angles, heads["t"], heads["scale"], heads["kp"].unflatten(1, (-1, 3)))


def rotation_tensor(angles: Tensor) -> Tensor:
    """Return rotations, (f, 3, 3), for (f, 3) degrees: the transpose of Rz(roll) Ry(yaw) Rx(pitch), for row vectors."""
    x, y, z = (angles / 180 * math.pi).unbind(1)
    one, zero = torch.ones_like(x), torch.zeros_like(x)

    def matrix(*rows: Tensor) -> Tensor:
        return torch.stack(rows, 1).unflatten(1, (3, 3))

    pitch = matrix(one, zero, zero, zero, x.cos(), -x.sin(), zero, x.sin(), x.cos())
    yaw = matrix(y.cos(), zero, y.sin(), zero, one, zero, -y.sin(), zero, y.cos())
    roll = matrix(z.cos(), -z.sin(), zero, z.sin(), z.cos(), zero, zero, zero, one)
    return (roll @ yaw @ pitch).transpose(1, 2)


def key_points(pose: HeadPose) -> Tensor:
    """Return the key points, (f, 21, 3): rotated, scaled, and shifted in the frame's plane; the frame is -1..1."""
    turned = pose.points @ rotation_tensor(pose.angles) * pose.scale[..., None]
    return torch.cat([turned[..., :2] + pose.shift[:, None, :2], turned[..., 2:]], 2)


def transfer_pose(portrait: HeadPose, neutral: HeadPose, driver: HeadPose) -> HeadPose:
    """Return the portrait's pose (one frame) with the driver's angles and the driver's shift from neutral."""
    count = len(driver.angles)
    return HeadPose(
        driver.angles,
        (driver.shift - neutral.shift) * SHIFT + portrait.shift,
        portrait.scale.expand(count, -1),
        portrait.points.expand(count, -1, -1),
    )


def steps_between(start: Tensor, end: Tensor, count: int) -> Tensor:
    """Return `count` even steps from `start` to just before `end`, along the first dimension, which is 1 in both."""
    alpha = torch.linspace(0, 1, count + 1, dtype=start.dtype, device=start.device)[:-1]
    alpha = alpha.view(-1, *[1] * (start.ndim - 1))
    return (1 - alpha) * start + alpha * end


def lead_in(portrait: HeadPose, lent: HeadPose, count: int) -> HeadPose:
    """Return `count` poses from the portrait's own to just before the first of `lent`."""
    first = lent.frame(0)
    return replace(
        portrait,
        angles=steps_between(portrait.angles, first.angles, count),
        shift=steps_between(portrait.shift, first.shift, count),
        scale=steps_between(portrait.scale, first.scale, count),
        points=portrait.points.expand(count, -1, -1),
    )


def concatenate_poses(*poses: HeadPose) -> HeadPose:
    """Concatenate poses along the frames."""
    fields = ("angles", "shift", "scale", "points")
    return HeadPose(*(torch.cat([getattr(pose, field) for pose in poses]) for field in fields))


def _pixels(points: Tensor, size: int) -> Tensor:
    """Convert (f, 21, 3) key points to (f, 7, 2) whole pixels of those in POINTS."""
    counted = torch.stack([points[:, i, :2] for i in POINTS], 1)
    return ((counted * 0.5 + 0.5) * size).long()


def draw_key_points(points: Tensor, size: int) -> Tensor:
    """Draw (f, 21, 3) key points as (f, 3, size, size) images in 0..1, each as a disc of its own colour.

    Overlapping discs are added.
    """
    at = _pixels(points, size)
    along = torch.arange(size, device=points.device)
    x, y = ((at[..., i, None] - along) ** 2 for i in (0, 1))  # (f, 7, size)
    discs = (y[..., :, None] + x[..., None, :] <= DISC_RADIUS_PX**2).float()
    return torch.einsum("fkhw,kc->fchw", discs, _colours(points.device)).clamp(0, 1)


@cache
def _colours(device: torch.device) -> Tensor:
    return torch.tensor(COLOURS, dtype=torch.float32, device=device) / 255


def face_boxes(points: Tensor, size: int) -> Tensor:
    """Return the faces' boxes, (f, 4) whole pixels left, top, right, bottom, for (f, 21, 3) key points.

    They are limited to the frame.
    """
    at = _pixels(points, size).float()
    middle = at.mean(1)
    half = (middle[:, 1:] - at[..., 1].min(1)[0][:, None]) * 2.0 * (FACE_SIDE / 2) / 2
    corners = torch.cat([middle - half * 0.95, middle + half * 1.05], 1)
    return corners.clamp(0, size - 1).long()
