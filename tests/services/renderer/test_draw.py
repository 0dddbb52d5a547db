"""Frames of a render: the label is drawn into the frames of the file, and nothing else in them differs."""

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np

from compositing.compose import Composer
from compositing.cutout import Cutout
from compositing.label import draw_label
from engines.api import RoiFrame
from services.renderer.encode.segment import SegmentWriter
from services.renderer.pipeline.cue_overlays import CueOverlays
from services.renderer.pipeline.draw import draw_frames, draw_marks
from shared.avatar.model import Avatar, load_avatar
from shared.media.array_types import ImageArray
from shared.media.output_spec import OutputSpec
from shared.voices.webvtt import Cue


def drawn(avatar: Avatar, path: Path, *, label: bool) -> list[ImageArray]:
    """Return the frames that were handed to the encoder."""
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


def test_captions_are_on_the_frames_in_which_they_are_heard_and_in_the_alpha(sample_home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    shutil.copytree(sample_home / "avatars" / "sample", folder)  # a cut-out stores its matte in the avatar
    avatar = load_avatar(folder)
    size, frames = (avatar.plate.width, avatar.plate.height), list[ImageArray]()
    # Frames 10 to 15: the first cue is heard in the middle of frames 12 and 13.
    captions = CueOverlays([Cue(490_000, 550_000, "Ah."), Cue(5_000_000, 6_000_000, "Oh.")], Fraction(25), size, 10)
    with SegmentWriter(tmp_path / "a.mp4", *size, Fraction(25), OutputSpec()) as writer:
        faces = [RoiFrame(number * 40_000, avatar.roi) for number in range(6)]
        draw_frames(
            faces, Composer(avatar), writer, False, lambda _, frame: frames.append(frame.copy()), None, captions
        )
    same = [np.array_equal(frame, frames[0]) for frame in frames]
    assert same == [True, True, False, False, True, True]
    marks = draw_marks(frames[0], True, captions.at(2))
    frames[2] = frames[2].copy()
    draw_label(frames[2])
    assert np.array_equal(frames[0], frames[2]) and len(marks) == 2
    alpha = Cutout(avatar).alpha(0, None, 0.0, marks)
    assert all((alpha[y : y + h, x : x + w] == 255).all() for x, y, w, h in marks)


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
