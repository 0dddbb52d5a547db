"""An avatar's portrait through the networks once, and its picture under any keypoints."""

from pathlib import Path

import cv2
import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.generator.engines.liveportrait import crop
from services.generator.engines.liveportrait.face_crop import openings, source_square
from services.generator.engines.liveportrait.keypoints import Array, motions
from services.generator.engines.liveportrait.networks import Networks
from shared import similarity
from shared.avatar import ROI_SIZE, Avatar
from shared.mask import moving_matte

log = structlog.get_logger()


class Portrait:
    """What depends on the avatar alone, kept; `draw` makes its frames. Not thread-safe."""

    def __init__(self, avatar: Avatar, networks: Networks) -> None:
        self._avatar, self._networks = avatar, networks
        self._square = source_square(avatar.face)
        self._to_crop = self._square.to_crop(crop.SIDE)
        small = cv2.resize(self.picture(), (crop.INPUT, crop.INPUT), interpolation=cv2.INTER_AREA)
        prepared = networks.prepared(np.asarray(small, np.uint8))
        with torch.inference_mode():
            self.motion = motions(networks.heads(prepared))[0]
            volume = networks.appearance(prepared)
            self._volume = volume.to(networks.dtype)
            self._compressed = networks.warping.dense_motion_network.compressed(self._volume)
        self.points = self.motion.points
        self.openings = openings(avatar.face)
        self.unit = 2 * avatar.face.eye_distance / self._square.side  # an eye distance in keypoint coordinates
        self._own = torch.from_numpy(self.points)[None].to(networks.device)
        mask = crop.spread_mask(self._to_crop, (ROI_SIZE, ROI_SIZE))
        self._mask = torch.from_numpy(mask).to(networks.device)
        self._around = torch.from_numpy(avatar.roi).to(networks.device).permute(2, 0, 1) * (1 - self._mask)
        self._grid = self._roi_in_crop().to(networks.device)

    def picture(self) -> NDArray[np.uint8]:
        """(512, 512, 3) uint8 RGB source crop: the ROI, the rest of the portrait where the crop reaches beyond it,
        and black beyond that, as the networks know it."""
        size = (crop.SIDE, crop.SIDE)
        roi = crop.cut(self._avatar.roi, self._to_crop, crop.SIDE)
        whole = _portrait(self._avatar.folder)
        if whole is None:
            return roi
        matrix = similarity.compose(self._to_crop.astype(np.float64), self._avatar.portrait_to_roi)
        out = cv2.warpAffine(whole, matrix, size, flags=cv2.INTER_LINEAR)
        inside = cv2.warpAffine(np.full((ROI_SIZE, ROI_SIZE), 255, np.uint8), self._to_crop, size)
        return np.asarray(np.where(inside[..., None] == 255, roi, out), np.uint8)

    def draw(self, driven: Array) -> NDArray[np.uint8]:
        """(B, 21, 3) keypoints to (B, 512, 512, 3) uint8 RGB ROI pictures; with the face's matte as a fourth channel on a
        body that is not the portrait's own."""
        with torch.inference_mode():
            points = torch.from_numpy(np.ascontiguousarray(driven, np.float32)).to(self._networks.device)
            faces = self._faces(points)
            if not bool(torch.isfinite(faces).all()) and self._networks.dtype != torch.float32:
                log.warning("liveportrait_in_float32", reason="half precision overflowed")
                self._networks.in_float32()
                self._volume, self._compressed = self._volume.float(), self._compressed.float()
                faces = self._faces(points)
            pictures: NDArray[np.uint8] = self._on_roi(faces).cpu().numpy()
        if self._avatar.own_plate:
            return pictures
        return np.concatenate([pictures, np.stack([self._matte(each) for each in driven])[..., None]], axis=-1)

    def _faces(self, points: Tensor) -> Tensor:
        """(B, 3, 512, 512) 0..1 crops."""
        count = len(points)
        out: Tensor = self._networks.draw(
            self._volume.expand(count, -1, -1, -1, -1),
            self._compressed.expand(count, -1, -1, -1, -1),
            self._own.expand(count, -1, -1),
            points,
        )
        return out

    def _on_roi(self, faces: Tensor) -> Tensor:
        """(B, 512, 512, 3) uint8: the crops laid back over the ROI they were taken from."""
        grid = self._grid.expand(len(faces), -1, -1, -1)
        placed = torch.nn.functional.grid_sample(
            faces.float(), grid, mode="bicubic", padding_mode="border", align_corners=True
        )
        mixed = placed.clamp(0, 1) * 255 * self._mask + self._around
        return (mixed + 0.5).to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    def _roi_in_crop(self) -> Tensor:
        """(1, 512, 512, 2) where each ROI pixel lies in the crop, for grid_sample."""
        y, x = np.mgrid[0:ROI_SIZE, 0:ROI_SIZE].astype(np.float32)
        at = np.stack([x, y], axis=-1) @ self._to_crop[:, :2].T + self._to_crop[:, 2]
        return torch.from_numpy((at * np.float32(2 / (crop.SIDE - 1)) - 1).astype(np.float32))[None]

    def _matte(self, driven: Array) -> NDArray[np.uint8]:
        """(512, 512) uint8: where the face has gone, by the similarity that its keypoints follow."""
        to_roi = crop.back(self._to_crop).astype(np.float64)
        here, there = (
            similarity.apply(to_roi, (points[:, :2] + 1) * (crop.SIDE / 2)) for points in (self.points, driven)
        )
        return moving_matte(self._avatar.face.moved(similarity.fit(here, there)), self._avatar.mask)


def _portrait(folder: Path) -> NDArray[np.uint8] | None:
    """The whole portrait, RGB, where the avatar's folder has it."""
    path = folder / "portrait.png"
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    return None if picture is None else np.ascontiguousarray(np.asarray(picture, np.uint8)[..., ::-1])
