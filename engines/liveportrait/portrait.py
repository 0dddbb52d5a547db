"""A source face, encoded once, and the images drawn from it for given keypoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.liveportrait.motion import crop
from engines.liveportrait.motion.face_crop import openings, source_square
from engines.liveportrait.motion.keypoints import motions
from engines.liveportrait.networks.networks import LivePortraitNetworks
from shared.avatar.mask import moving_matte
from shared.avatar.model import ROI_SIZE_PX, Avatar
from shared.avatar.portrait_skin import PortraitSkin
from shared.face import similarity
from shared.face.landmarks import Face
from shared.media.array_types import FloatArray
from shared.media.image_file import read_pixels
from shared.runtime.logs import get_logger

log = get_logger()


@dataclass(frozen=True, slots=True)
class SourceFeatures:
    """Features of a source image from which its frames are drawn.

    volume: (1, C, D, 64, 64) and compressed: (1, 4, D, 64, 64), in the networks' precision. keypoints: (1, 21, 3)
        float32, on the device. points: the same as an array, (21, 3). around: (3, 512, 512) float32, the ROI's pixels
        that the crop does not cover.
    """

    volume: Tensor
    compressed: Tensor
    keypoints: Tensor
    points: FloatArray
    around: Tensor


@dataclass(frozen=True, slots=True)
class DrivenShot:
    """A frame to draw: (21, 3) float32 driven keypoints, and the source that they move."""

    driven: FloatArray
    source: SourceFeatures


class PortraitRenderer:
    """Draws the frames of one source face, whose features are computed once and kept. Not thread-safe."""

    def __init__(self, avatar: Avatar, networks: LivePortraitNetworks, face: Face | None = None) -> None:
        """Encode the portrait, unless another face is given.

        face: the source face in ROI pixels if it is not the portrait's own; call `set_source` then.
        """
        self._avatar, self._networks = avatar, networks
        self._face = face or avatar.face
        self._skin = PortraitSkin(avatar.roi, avatar.face) if face is None and not avatar.own_plate else None
        square = source_square(self._face)
        self.to_crop = square.to_crop(crop.SIDE)
        self.openings = openings(self._face)
        self.unit = 2 * self._face.eye_distance / square.side  # an eye distance in keypoint coordinates
        mask = crop.spread_mask(self.to_crop, (ROI_SIZE_PX, ROI_SIZE_PX))
        self._mask = torch.from_numpy(mask).to(networks.device)
        self._grid = self._roi_in_crop().to(networks.device)
        if face is None:
            self.set_source(avatar.roi, self.image())
            self.shot(self.points)  # computes the features here rather than with the first frame

    def set_source(self, roi: NDArray[np.uint8], cut: NDArray[np.uint8]) -> None:
        """Draw from this source from now on.

        roi, cut: (512, 512, 3) uint8 RGB each, the ROI and the crop around it.
        """
        small = cv2.resize(cut, (crop.INPUT, crop.INPUT), interpolation=cv2.INTER_AREA)
        self._prepared = self._networks.prepared(np.asarray(small, np.uint8))
        self._source: SourceFeatures | None = None
        self._roi = roi
        self.motion = motions(self._networks.heads(self._prepared))[0]
        self.points = self.motion.points

    def shot(self, driven: FloatArray) -> DrivenShot:
        """Return a frame of the current source, which may be drawn immediately or later."""
        if self._source is None:
            self._source = self._read()
        return DrivenShot(driven, self._source)

    def _read(self) -> SourceFeatures:
        nets = self._networks
        with torch.inference_mode():
            volume = nets.appearance(self._prepared).to(nets.dtype)
            compressed = nets.warping.dense_motion_network.compressed(volume)
            keypoints = torch.from_numpy(self.points)[None].to(nets.device)
            around = torch.from_numpy(self._roi).to(nets.device).permute(2, 0, 1) * (1 - self._mask)
        return SourceFeatures(volume, compressed, keypoints, self.points, around)

    def image(self) -> NDArray[np.uint8]:
        """Return the source crop, (512, 512, 3) uint8 RGB.

        It contains the ROI, the portrait's pixels where the crop extends beyond the ROI, and black beyond the portrait,
        as in the networks' training.
        """
        size = (crop.SIDE, crop.SIDE)
        roi = crop.cut_crop(self._avatar.roi, self.to_crop, crop.SIDE)
        whole = _portrait(self._avatar.folder)
        if whole is None:
            return roi
        matrix = similarity.compose(self.to_crop.astype(np.float64), self._avatar.portrait_to_roi)
        out = cv2.warpAffine(whole, matrix, size, flags=cv2.INTER_LINEAR)
        inside = cv2.warpAffine(np.full((ROI_SIZE_PX, ROI_SIZE_PX), 255, np.uint8), self.to_crop, size)
        return np.asarray(np.where(inside[..., None] == 255, roi, out), np.uint8)

    def draw(self, shots: Sequence[DrivenShot]) -> NDArray[np.uint8]:
        """Return ROI images of B shots, (B, 512, 512, 3) uint8 RGB.

        On a body that is not the portrait's own, the face's matte is a fourth channel.
        """
        with torch.inference_mode():
            around = _joined([shot.source.around[None] for shot in shots])
            images: NDArray[np.uint8] = self._on_roi(self._faces(shots), around).cpu().numpy()
        if self._avatar.own_plate:
            return images
        return np.concatenate([images, np.stack([self._matte(shot) for shot in shots])[..., None]], axis=-1)

    def _faces(self, shots: Sequence[DrivenShot]) -> Tensor:
        """Return crops, (B, 3, 512, 512) 0..1.

        A frame that overflows half precision is drawn again in float32, alone, so that the other frames do not depend
        on it.
        """
        nets, sources = self._networks, [shot.source for shot in shots]
        volume, compressed, own = (
            _joined([getattr(each, name) for each in sources]) for name in ("volume", "compressed", "keypoints")
        )
        driven = torch.from_numpy(np.stack([shot.driven for shot in shots])).to(nets.device)
        faces = nets.draw(volume, compressed, own, driven)
        fine = torch.isfinite(faces).flatten(1).all(dim=1).tolist()
        if all(fine) or nets.dtype == torch.float32:
            return faces
        log.warning("frames_redrawn_in_float32", why="half precision overflowed", frames=fine.count(False))
        faces = faces.clone()
        for i in (i for i, good in enumerate(fine) if not good):
            faces[i] = nets.draw_exactly(volume[i, None], own[i, None], driven[i, None])[0]
        return faces

    def _on_roi(self, faces: Tensor, around: Tensor) -> Tensor:
        """Return ROI images, (B, 512, 512, 3) uint8, with the crops placed back where they were taken from."""
        grid = self._grid.expand(len(faces), -1, -1, -1)
        placed = torch.nn.functional.grid_sample(
            faces.float(), grid, mode="bicubic", padding_mode="border", align_corners=True
        )
        mixed = placed.clamp(0, 1) * 255 * self._mask + around
        return (mixed + 0.5).to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    def _roi_in_crop(self) -> Tensor:
        """Return the position of each ROI pixel in the crop, (1, 512, 512, 2), for grid_sample."""
        y, x = np.mgrid[0:ROI_SIZE_PX, 0:ROI_SIZE_PX].astype(np.float32)
        at = np.stack([x, y], axis=-1) @ self.to_crop[:, :2].T + self.to_crop[:, 2]
        return torch.from_numpy((at * np.float32(2 / (crop.SIDE - 1)) - 1).astype(np.float32))[None]

    def _matte(self, shot: DrivenShot) -> NDArray[np.uint8]:
        """Return the matte of the moved face, (512, 512) uint8, by the similarity fitted to its keypoints' motion."""
        to_roi = crop.crop_to_image(self.to_crop).astype(np.float64)
        here, there = (
            similarity.apply_similarity(to_roi, (points[:, :2] + 1) * (crop.SIDE / 2))
            for points in (shot.source.points, shot.driven)
        )
        return moving_matte(self._face.moved(similarity.fit(here, there)), self._avatar.mask, self._skin)


def _joined(parts: list[Tensor]) -> Tensor:
    """Concatenate along the first axis."""
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _portrait(folder: Path) -> NDArray[np.uint8] | None:
    """Return the whole portrait, RGB; None if the avatar's folder does not contain it."""
    image = read_pixels(folder / "portrait.png")
    return None if image is None else np.ascontiguousarray(image[..., ::-1])
