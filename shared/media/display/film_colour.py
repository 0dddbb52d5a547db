"""Frames of a film as RGB in the colours that they are meant to have.

By their tags, and by one rule where they have none.
"""

import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc, Interpolation

from shared.errors import StudioError, short
from shared.media.array_types import ImageArray
from shared.media.display.standard_light import BT709, HDR, OTHER_TRANSFERS, WIDE_PRIMARIES, WideColour, to_srgb
from shared.media.output_spec import FrameSize, is_hd

WHITE = 65280 / 65535  # of 16 bits: what FFmpeg makes of white when it widens limited range or 8 bits
CUBE = 49  # values a side of the table of colours: between them they are interpolated, within 0.4 of 255 on average
UNTAGGED = 2  # of any of FFmpeg's colour tags
_OF_PRIMARIES: dict[int, Colorspace] = {
    ColorPrimaries.BT709: Colorspace.ITU709,
    ColorPrimaries.BT2020: Colorspace.BT2020,
    ColorPrimaries.BT470BG: Colorspace.ITU601,
    ColorPrimaries.SMPTE170M: Colorspace.ITU601,
}


def matrix_of(frame: av.VideoFrame) -> int | None:
    """The matrix to take a frame's colours for.

    None: what it is tagged with. Without a tag it is that of HDR or of its primaries, and where they have none either
    HD is BT.709 and all else BT.601: the rule by which the studio delivers its own output.
    """
    if frame.colorspace != UNTAGGED:
        return None
    if frame.color_trc in HDR:
        return Colorspace.BT2020
    by_size = Colorspace.ITU709 if is_hd((frame.width, frame.height)) else Colorspace.ITU601
    return _OF_PRIMARIES.get(frame.color_primaries, by_size)


def wide_colour_of(frame: av.VideoFrame) -> WideColour | None:
    """The light and primaries of a frame that is HDR or of a wide gamut; None for a standard one."""
    if frame.color_trc not in OTHER_TRANSFERS and frame.color_primaries not in WIDE_PRIMARIES:
        return None
    transfer, primaries = ColorTrc(frame.color_trc), ColorPrimaries(frame.color_primaries)
    if primaries not in WIDE_PRIMARIES:
        untagged = primaries == ColorPrimaries.UNSPECIFIED
        of_bt2020 = untagged and (transfer in HDR or frame.colorspace == Colorspace.BT2020)
        primaries = ColorPrimaries.BT2020 if of_bt2020 else BT709
    return WideColour(transfer, primaries)


class FrameColours:
    """Turns frames into RGB of one size. Not thread-safe."""

    def __init__(self, size: FrameSize) -> None:
        """size: (width, height) in pixels, which frames are scaled to."""
        self._size = size
        self._wide: dict[WideColour, _ColourCube] = {}

    def rgb(self, frame: av.VideoFrame) -> ImageArray:
        """(H, W, 3) uint8 sRGB, as the frame is stored: not turned.

        Raises StudioError where there is no room for a table.
        """
        wide = wide_colour_of(frame)
        if wide is None:
            return np.asarray(self._reformatted(frame, "rgb24").to_ndarray(), np.uint8)
        if wide not in self._wide:
            self._wide[wide] = _ColourCube(self._size, wide)
        return self._wide[wide].rgb(self._reformatted(frame, "gbrp16le"))

    def rgba(self, frame: av.VideoFrame) -> tuple[ImageArray, ImageArray]:
        """(H, W, 3) uint8 sRGB and (H, W) uint8 alpha of a frame with alpha."""
        rgba = np.asarray(self._reformatted(frame, "rgba").to_ndarray(), np.uint8)
        alpha = np.ascontiguousarray(rgba[..., 3])
        return (self.rgb(frame) if wide_colour_of(frame) else np.ascontiguousarray(rgba[..., :3])), alpha

    def _reformatted(self, frame: av.VideoFrame, pixels: str) -> av.VideoFrame:
        width, height = self._size
        same = (frame.width, frame.height) == self._size
        how = Interpolation.BILINEAR if same else Interpolation.AREA
        return frame.reformat(width, height, pixels, src_colorspace=matrix_of(frame), interpolation=how)


class _ColourCube:
    """FFmpeg's interpolation in a table of colours, over frames of one size."""

    def __init__(self, size: FrameSize, colour: WideColour) -> None:
        width, height = size
        self._graph = av.filter.Graph()
        source = self._graph.add_buffer(
            width=width, height=height, format=av.VideoFormat("gbrp16le"), time_base=Fraction(1, 25)
        )
        try:
            with tempfile.TemporaryDirectory(prefix="studio-colours-") as folder:
                cube = Path(folder) / "table.cube"
                cube.write_text(_cube_text(colour), encoding="ascii")
                table, sink = (
                    self._graph.add("lut3d", file=str(cube), interp="tetrahedral"),
                    self._graph.add("buffersink"),
                )
                source.link_to(table)
                table.link_to(sink)
                self._graph.configure()
        except OSError as error:
            raise StudioError(
                f"The film's colours cannot be converted ({short(error)}); free some space in the temporary folder and "
                "try again."
            ) from None

    def rgb(self, frame: av.VideoFrame) -> ImageArray:
        """(H, W, 3) uint8 sRGB of a gbrp16le frame."""
        self._graph.vpush(frame)
        shown = self._graph.vpull()
        green, blue, red = (
            np.frombuffer(memoryview(plane), np.uint16).reshape(plane.height, -1)[:, : plane.width]
            for plane in shown.planes
        )
        return np.asarray(cv2.convertScaleAbs(cv2.merge([red, green, blue]), alpha=255 / 65535), np.uint8)


@cache
def _cube_text(colour: WideColour) -> str:
    """The table in the .cube format of IRIDAS: red changes fastest."""
    steps = np.linspace(0.0, 1.0 / WHITE, CUBE)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    values = to_srgb(np.stack([red, green, blue], axis=-1), colour).reshape(-1, 3)
    return f"LUT_3D_SIZE {CUBE}\n" + "\n".join(f"{r:.5f} {g:.5f} {b:.5f}" for r, g, b in values.tolist()) + "\n"
