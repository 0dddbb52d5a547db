"""Drawing of a segment: faces, label and captions are composited onto plate frames and encoded."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from compositing.compose import Composer
from compositing.cutout import Cutout
from compositing.label import draw_label
from compositing.overlay import Overlay
from compositing.transition import Transition
from engines.api import RoiFrame
from services.renderer.encode.segment import SegmentWriter
from services.renderer.pipeline.cue_overlays import CueOverlays
from shared.media.array_types import ImageArray, PixelBox

FrameCallback = Callable[[int, NDArray[np.uint8]], None]  # number of frames done, and the newest one as I420


def draw_frames(
    frames: Iterable[RoiFrame | int],
    composer: Composer,
    writer: SegmentWriter,
    label: bool,
    told: FrameCallback,
    cutout: Cutout | None = None,
    captions: CueOverlays | None = None,
) -> int:
    """Compose and write each frame, and return the number of frames.

    frames: faces, or the pts of a frame without a face. label: whether to draw the label. told: called after each
    frame. cutout: for an output with alpha. captions: to draw into the frames.

    A segment that begins with a face shows it fully, without a transition, so that no segment needs the frame before
    it.
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
        marks = draw_marks(composed.frame, label, captions.at(done) if captions else None)
        alpha = cutout.alpha(index, shown, opacity, marks) if cutout else None
        clean = cutout.without_backdrop(composed.frame, alpha) if cutout and alpha is not None else composed.frame
        writer.frame(done, clean, alpha)
        done += 1
        told(done, composed.frame)
    return done


def draw_marks(frame: ImageArray, label: bool, caption: Overlay | None) -> list[PixelBox]:
    """Draw label and caption into an I420 frame, in place, and return their boxes."""
    marks = [box] if label and (box := draw_label(frame)) else []
    if caption is not None:
        caption.draw(frame)
        marks.append(caption.box)
    return marks
