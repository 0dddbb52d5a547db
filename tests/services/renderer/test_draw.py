"""Frames of a render: the label is drawn into the file's frames, and nothing else of them differs."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from compositing.compose import Composer
from compositing.label import draw_label
from engines.api import RoiFrame
from services.renderer.encode.segment import SegmentWriter
from services.renderer.pipeline.draw import draw_frames
from shared.avatar.model import Avatar, load_avatar
from shared.media.array_types import ImageArray
from shared.media.output_spec import OutputSpec


def drawn(avatar: Avatar, path: Path, *, label: bool) -> list[ImageArray]:
    """What was handed to the encoder, frame by frame."""
    frames: list[ImageArray] = []
    plate, output = avatar.plate, OutputSpec(label=label)
    with SegmentWriter(path, plate.width, plate.height, Fraction(25), output) as writer:
        faces = [RoiFrame(number * 40_000, avatar.roi) for number in range(3)]
        draw_frames(faces, Composer(avatar), writer, label, lambda _, frame: frames.append(frame.copy()))
    return frames


def test_a_frame_with_the_label_is_the_frame_without_it_and_the_label(sample_home: Path, tmp_path: Path) -> None:
    avatar = load_avatar(sample_home / "avatars" / "sample")
    plain, labelled = (drawn(avatar, tmp_path / f"{label}.mp4", label=label) for label in (False, True))
    for without, with_label in zip(plain, labelled, strict=True):
        assert not np.array_equal(without, with_label)
        draw_label(without)
        assert np.array_equal(without, with_label)


def test_a_face_made_of_its_plate_frame_is_not_fitted_again(sample_home: Path, tmp_path: Path) -> None:
    avatar = load_avatar(sample_home / "avatars" / "sample-video")
    composer, roi, frames = Composer(avatar), (avatar.roi * 0.6).astype(np.uint8), list[ImageArray]()
    with SegmentWriter(
        tmp_path / "a.mp4", avatar.plate.width, avatar.plate.height, Fraction(25), OutputSpec()
    ) as writer:
        faces = [RoiFrame(0, roi, plate=3), RoiFrame(40_000, roi)]
        draw_frames(faces, composer, writer, False, lambda _, frame: frames.append(frame.copy()))
    for frame, index, own in zip(frames, (3, avatar.plate.index(40_000)), (True, False), strict=True):
        assert np.array_equal(frame, composer.compose(composer.background(index), index, roi, 1.0, own=own).frame)
        assert not np.array_equal(
            frame, composer.compose(composer.background(index), index, roi, 1.0, own=not own).frame
        )
