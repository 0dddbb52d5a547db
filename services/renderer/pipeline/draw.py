"""Draws frames: faces onto plate frames and the label on them, into a segment's file."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from compositing.compose import Composer
from compositing.cutout import Cutout
from compositing.label import draw_label
from compositing.transition import Transition
from engines.api import RoiFrame
from services.renderer.encode.segment import SegmentWriter

FrameCallback = Callable[[int, NDArray[np.uint8]], None]  # frames done, and the newest as I420


def draw_frames(
    frames: Iterable[RoiFrame | int],
    composer: Composer,
    writer: SegmentWriter,
    label: bool,
    told: FrameCallback,
    cutout: Cutout | None = None,
) -> int:
    """Compose and write each frame; an int is the pts of a frame without a face.

    Returns how many there were. cutout: for an output with alpha.

    Every segment begins with the face fully shown, where there is one, so that none needs the frame before it.
    """
    plate = composer.avatar.plate
    faded = Transition()
    faded.jump(face=True)
    shown: NDArray[np.uint8] | None = None
    own = False
    done = 0
    for frame in frames:
        face = isinstance(frame, RoiFrame)
        shown, pts = (frame.pixels, frame.pts) if isinstance(frame, RoiFrame) else (shown, frame)
        opacity = faded.opacity_at(pts, face)
        named = frame.plate if isinstance(frame, RoiFrame) else None
        own = named is not None if isinstance(frame, RoiFrame) else own
        index = plate.index(pts) if named is None else named
        composed = composer.compose(composer.background(index), index, shown, opacity, own=own)
        labelled = draw_label(composed.frame) if label else None
        alpha = cutout.alpha(index, shown, opacity, labelled) if cutout else None
        clean = cutout.without_backdrop(composed.frame, alpha) if cutout and alpha is not None else composed.frame
        writer.frame(done, clean, alpha)
        done += 1
        told(done, composed.frame)
    return done
