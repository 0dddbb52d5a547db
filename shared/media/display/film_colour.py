"""Converts a film's frames to sRGB by their colour tags, or by a fixed rule for frames without tags."""

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

WHITE = 65280 / 65535  # white as a share of full scale after FFmpeg has widened limited range or 8 bits to 16 bits
CUBE = 49  # entries per side of the colour table; interpolation between them is off by 0.4 of 255 on average
UNTAGGED = 2  # value of FFmpeg's colour tags for "unspecified"
_OF_PRIMARIES: dict[int, Colorspace] = {
    ColorPrimaries.BT709: Colorspace.ITU709,
    ColorPrimaries.BT2020: Colorspace.BT2020,
    ColorPrimaries.BT470BG: Colorspace.ITU601,
    ColorPrimaries.SMPTE170M: Colorspace.ITU601,
}


def matrix_of(frame: av.VideoFrame) -> int | None:
    """Return the YUV matrix to assume for a frame, None to use the one that it is tagged with.

    A frame without a tag has the matrix of HDR or of its primaries. If these are not tagged either, HD frames have
    BT.709 and smaller ones BT.601, which is also the rule for the studio's own output.
    """
    if frame.colorspace != UNTAGGED:
        return None
    if frame.color_trc in HDR:
        return Colorspace.BT2020
    by_size = Colorspace.ITU709 if is_hd((frame.width, frame.height)) else Colorspace.ITU601
    return _OF_PRIMARIES.get(frame.color_primaries, by_size)


def wide_colour_of(frame: av.VideoFrame) -> WideColour | None:
    """Return transfer function and primaries of an HDR or wide-gamut frame; None for a frame in standard colours."""
    if frame.color_trc not in OTHER_TRANSFERS and frame.color_primaries not in WIDE_PRIMARIES:
        return None
    transfer, primaries = ColorTrc(frame.color_trc), ColorPrimaries(frame.color_primaries)
    if primaries not in WIDE_PRIMARIES:
        untagged = primaries == ColorPrimaries.UNSPECIFIED
        of_bt2020 = untagged and (transfer in HDR or frame.colorspace == Colorspace.BT2020)
        primaries = ColorPrimaries.BT2020 if of_bt2020 else BT709
    return WideColour(transfer, primaries)


class FrameColours:
    """Converts frames to sRGB of one size. Not thread-safe."""

    def __init__(self, size: FrameSize) -> None:
        """size: (width, height) in pixels, which frames are scaled to."""
        self._size = size
        self._wide: dict[WideColour, _ColourCube] = {}

    def rgb(self, frame: av.VideoFrame) -> ImageArray:
        """Return the frame as (H, W, 3) uint8 sRGB, in its stored orientation.

        Raises StudioError if the temporary folder has no space for a colour table.
        """
        wide = wide_colour_of(frame)
        if wide is None:
            return np.asarray(self._reformatted(frame, "rgb24").to_ndarray(), np.uint8)
        if wide not in self._wide:
            self._wide[wide] = _ColourCube(self._size, wide)
        return self._wide[wide].rgb(self._reformatted(frame, "gbrp16le"))

    def rgba(self, frame: av.VideoFrame) -> tuple[ImageArray, ImageArray]:
        """Return (H, W, 3) uint8 sRGB and (H, W) uint8 alpha of a frame with alpha, in its stored orientation."""
        rgba = np.asarray(self._reformatted(frame, "rgba").to_ndarray(), np.uint8)
        alpha = np.ascontiguousarray(rgba[..., 3])
        return (self.rgb(frame) if wide_colour_of(frame) else np.ascontiguousarray(rgba[..., :3])), alpha

    def _reformatted(self, frame: av.VideoFrame, pixels: str) -> av.VideoFrame:
        width, height = self._size
        same = (frame.width, frame.height) == self._size
        how = Interpolation.BILINEAR if same else Interpolation.AREA
        return frame.reformat(width, height, pixels, src_colorspace=matrix_of(frame), interpolation=how)


class _ColourCube:
    """Converts frames of one size by a 3D colour table, interpolated by FFmpeg."""

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
    """The colour table as text in the .cube format of IRIDAS, in which red changes fastest."""
    steps = np.linspace(0.0, 1.0 / WHITE, CUBE)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    values = to_srgb(np.stack([red, green, blue], axis=-1), colour).reshape(-1, 3)
    return f"LUT_3D_SIZE {CUBE}\n" + "\n".join(f"{r:.5f} {g:.5f} {b:.5f}" for r, g, b in values.tolist()) + "\n"
