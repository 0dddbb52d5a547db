"""The clean feed: what the label covers travels beside the frame, and putting it back gives the unlabelled frame."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compositing.compose import Composer
from services.compositor.service import program_facts
from shared.avatar.model import load_avatar
from shared.wire.message import MAX_HEADER_BYTES, Message, decode_message, encode_message
from shared.wire.program import ProgramFrame, frame_of


def through_the_wire(composer: Composer, label: bool) -> ProgramFrame:
    """A composed frame as the gateway gets it."""
    roi = np.random.default_rng(2).integers(0, 255, (256, 256, 3)).astype(np.uint8)
    composed = composer.compose(composer.background(0), 0, roi, 1.0, label)
    facts = program_facts(1, "sample", composed, "live", 0)
    parts = encode_message(Message("program", "main", 1, 1, 1, 0, "i420", composed.frame, {}, facts))
    assert len(parts[1]) < MAX_HEADER_BYTES / 4
    return frame_of(decode_message([bytes(part) for part in parts]))


def test_the_frame_without_its_label_is_exactly_the_one_that_never_had_it(sample_home: Path) -> None:
    avatar = load_avatar(sample_home / "avatars" / "sample")
    labelled = through_the_wire(Composer(avatar, keep_under=True), label=True)
    never = through_the_wire(Composer(avatar, keep_under=True), label=False)
    before = labelled.i420.copy()
    assert labelled.label and not np.array_equal(labelled.i420, never.i420)
    assert np.array_equal(labelled.clean(), never.i420)
    assert np.array_equal(labelled.i420, before), "the frame that others show keeps its label"
    assert np.array_equal(replace(labelled, tick=5, repeated=True).clean(), never.i420)
    assert never.clean() is never.i420 and never.under is None


def test_without_the_right_nothing_of_it_leaves_the_compositor(sample_home: Path) -> None:
    plain = through_the_wire(Composer(load_avatar(sample_home / "avatars" / "sample")), label=True)
    assert plain.label and plain.under is None
    assert plain.clean() is plain.i420


@pytest.mark.parametrize("size", [(3840, 2160), (2160, 3840)])
def test_it_fits_into_a_message_at_4k(size: tuple[int, int]) -> None:
    from compositing.label import Label

    assert Label().under(np.zeros((size[1] * 3 // 2, size[0]), np.uint8)).nbytes < MAX_HEADER_BYTES / 2
