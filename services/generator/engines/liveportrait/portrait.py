"""A source face through the networks once, and its picture under any keypoints."""

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
from shared.face import Face
from shared.mask import moving_matte

log = structlog.get_logger()


class Portrait:
    """A face in ROI pixels through the networks once, kept; `draw` makes its frames. Not thread-safe."""

    def __init__(self, avatar: Avatar, networks: Networks, face: Face | None = None) -> None:
        """face: in the ROI, where it is not the portrait's own."""
        self._avatar, self._networks = avatar, networks
        self._face = face or avatar.face
        square = source_square(self._face)
        self.to_crop = square.to_crop(crop.SIDE)
        self.openings = openings(self._face)
        self.unit = 2 * self._face.eye_distance / square.side  # an eye distance in keypoint coordinates
        mask = crop.spread_mask(self.to_crop, (ROI_SIZE, ROI_SIZE))
        self._mask = torch.from_numpy(mask).to(networks.device)
        self._grid = self._roi_in_crop().to(networks.device)
        if face is None:
            self.look(avatar.roi, self.picture())
            self._features()

    def look(self, roi: NDArray[np.uint8], cut: NDArray[np.uint8]) -> None:
        """From here on this is the source: (512, 512, 3) uint8 RGB, the ROI and the crop around it."""
        small = cv2.resize(cut, (crop.INPUT, crop.INPUT), interpolation=cv2.INTER_AREA)
        self._prepared = self._networks.prepared(np.asarray(small, np.uint8))
        self._kept: tuple[Tensor, Tensor, Tensor] | None = None
        self._roi = roi
        self.motion = motions(self._networks.heads(self._prepared))[0]
        self.points = self.motion.points

    def _features(self) -> tuple[Tensor, Tensor, Tensor]:
        """What of the source the networks that draw need, (1, ...) each: its volume, the volume compressed, its keypoints.
        Made when the first frame is drawn."""
        if self._kept is None:
            nets = self._networks
            with torch.inference_mode():
                volume = nets.appearance(self._prepared).to(nets.dtype)
                compressed = nets.warping.dense_motion_network.compressed(volume)
                points = torch.from_numpy(self.points)[None].to(nets.device)
            self._kept = volume, compressed, points
            around = torch.from_numpy(self._roi).to(nets.device).permute(2, 0, 1)
            self._around = around * (1 - self._mask)
        return self._kept

    def picture(self) -> NDArray[np.uint8]:
        """(512, 512, 3) uint8 RGB source crop: the ROI, the rest of the portrait where the crop reaches beyond it,
        and black beyond that, as the networks know it."""
        size = (crop.SIDE, crop.SIDE)
        roi = crop.cut(self._avatar.roi, self.to_crop, crop.SIDE)
        whole = _portrait(self._avatar.folder)
        if whole is None:
            return roi
        matrix = similarity.compose(self.to_crop.astype(np.float64), self._avatar.portrait_to_roi)
        out = cv2.warpAffine(whole, matrix, size, flags=cv2.INTER_LINEAR)
        inside = cv2.warpAffine(np.full((ROI_SIZE, ROI_SIZE), 255, np.uint8), self.to_crop, size)
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
                self._kept = None
                faces = self._faces(points)
            pictures: NDArray[np.uint8] = self._on_roi(faces).cpu().numpy()
        if self._avatar.own_plate:
            return pictures
        return np.concatenate([pictures, np.stack([self._matte(each) for each in driven])[..., None]], axis=-1)

    def _faces(self, points: Tensor) -> Tensor:
        """(B, 3, 512, 512) 0..1 crops."""
        volume, compressed, own = (kept.expand(len(points), *kept.shape[1:]) for kept in self._features())
        return self._networks.draw(volume, compressed, own, points)

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
        at = np.stack([x, y], axis=-1) @ self.to_crop[:, :2].T + self.to_crop[:, 2]
        return torch.from_numpy((at * np.float32(2 / (crop.SIDE - 1)) - 1).astype(np.float32))[None]

    def _matte(self, driven: Array) -> NDArray[np.uint8]:
        """(512, 512) uint8: where the face has gone, by the similarity that its keypoints follow."""
        to_roi = crop.back(self.to_crop).astype(np.float64)
        here, there = (
            similarity.apply(to_roi, (points[:, :2] + 1) * (crop.SIDE / 2)) for points in (self.points, driven)
        )
        return moving_matte(self._face.moved(similarity.fit(here, there)), self._avatar.mask)


def _portrait(folder: Path) -> NDArray[np.uint8] | None:
    """The whole portrait, RGB, where the avatar's folder has it."""
    path = folder / "portrait.png"
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    return None if picture is None else np.ascontiguousarray(np.asarray(picture, np.uint8)[..., ::-1])
