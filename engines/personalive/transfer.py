"""The driver's motion as input of the window: pose features of the portrait's head and motion tokens of the face."""

from collections.abc import Callable

import torch
from torch import Tensor

from engines.personalive.head_pose import (
    HeadPose,
    concatenate_poses,
    draw_key_points,
    face_boxes,
    key_points,
    lead_in,
    read_pose,
    steps_between,
    transfer_pose,
)
from engines.personalive.image_tensor import resize_tensor
from engines.personalive.networks.motion_encoder import FACE_SIZE_PX
from engines.personalive.networks.schedule import FILL
from engines.personalive.streams import begin_fetch

POSE_SIZE_PX = 256  # size of the frame from which the head pose is read
Extract = Callable[[Tensor], dict[str, Tensor]]  # (f, 3, 256, 256) in 0..1 -> the motion extractor's heads


def extractor_input(frames: Tensor) -> Tensor:
    """Convert (f, 3, s, s) in -1..1 to (f, 3, 256, 256) float32 in 0..1."""
    return resize_tensor(frames, POSE_SIZE_PX).float() / 2 + 0.5


class HeadTransfer:
    """Transfers the driver's head pose to the portrait. The driver's shift is relative to its first frame."""

    def __init__(self, extract: Extract, portrait: Tensor) -> None:
        """Read the portrait's own pose.

        portrait: as returned by `extractor_input`.
        """
        self._extract = extract
        self.own = read_pose(extract(portrait))
        self.neutral: HeadPose | None = None

    def posed_key_points(self, frames: Tensor, retaken: int = -1) -> tuple[Tensor, Tensor]:
        """Return key points of the portrait's head in the driver's pose, (f, 21, 3), and the driver's own.

        frames: as returned by `extractor_input`. At the first call 12 more poses come before them, leading from the
            portrait's own pose to the first of these. retaken: index of the frame relative to which the driver's shift
            is measured from now on.
        """
        driver = read_pose(self._extract(frames))
        if self.neutral is not None and retaken >= 0:
            self.neutral = driver.frame(retaken)
        if self.neutral is not None:
            return key_points(transfer_pose(self.own, self.neutral, driver)), key_points(driver)
        self.neutral = driver.frame(0)
        lent = transfer_pose(self.own, self.neutral, driver)
        return key_points(concatenate_poses(lead_in(self.own, lent, FILL), lent)), key_points(driver)


def crop_faces(frames: Tensor, boxes: Tensor) -> Tensor:
    """Crop faces: (f, 3, s, s) frames and (f, 4) boxes on the host -> (f, 3, 224, 224), bilinear.

    If a box is empty, because no face was found, the whole frame is used.
    """
    crops = []
    for frame, (left, top, right, bottom) in zip(frames, boxes.tolist(), strict=True):
        if right <= left or bottom <= top:
            left, top, right, bottom = 0, 0, frame.shape[2], frame.shape[1]
        crops.append(resize_tensor(frame[None, :, top:bottom, left:right], FACE_SIZE_PX))
    return torch.cat(crops)


class Transfer:
    """Transfers head pose and expression of a driver to a portrait, chunk by chunk."""

    def __init__(
        self,
        extract: Extract,
        encode: Callable[[Tensor], Tensor],
        guide: Callable[[Tensor], Tensor],
        portrait: Tensor,
        own: Tensor | None = None,
    ) -> None:
        """Read the portrait.

        extract, encode, guide: motion extractor, motion encoder and pose guider. portrait: (1, 3, s, s) in -1..1, from
            which both head and face are read. own: the portrait as `extractor_input` would return it, if a better one
            is available.
        """
        self._encode, self._guide, self._portrait = encode, guide, portrait
        self.head = HeadTransfer(extract, extractor_input(portrait) if own is None else own)
        self.rest: Tensor | None = None  # the portrait's own motion tokens, available after the first chunk

    def pose_and_motion(self, frames: Tensor, retaken: int = -1) -> tuple[Tensor, Tensor]:
        """Return pose features and motion tokens of four frames, at the first call of 16.

        frames: (4, 3, s, s) in -1..1. The features are (f, channels, s / 8, s / 8), the tokens (f, 32, 16).
        """
        size = self._portrait.shape[-1]
        lent, driver = self.head.posed_key_points(extractor_input(frames), retaken)
        boxes = begin_fetch(face_boxes(driver, size))
        poses = self._guide(
            draw_key_points(lent, size).to(self._portrait.dtype)
        )  # computed while the boxes are transferred
        faces = crop_faces(frames, boxes())
        if self.rest is not None:
            return poses, self._encode(faces.to(self._portrait.dtype))
        own = crop_faces(self._portrait, begin_fetch(face_boxes(lent[:1], size))())
        motions = self._encode(torch.cat([own, faces.to(own.dtype)]))
        self.rest, motions = motions[:1], motions[1:]
        return poses, torch.cat([steps_between(self.rest, motions[:1], FILL), motions])
