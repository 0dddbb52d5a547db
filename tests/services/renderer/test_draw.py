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
