"""The second mini generation's network as used for drawing: the same images as its definition (`mini2`), faster.

Consecutive linear layers are merged into one, whose weights are computed on construction:

- enlarging twice and a 3x3 convolution are a transposed convolution, 4x4 at stride 2: four products per pixel instead
  of nine;
- averaging the source and a 1x1 convolution are a convolution at the same stride;
- the last convolution has three outputs where a CPU computes sixteen at a time, so it draws four pixels of a row at a
  time.

The results differ by rounding only, about 1e-6.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.dhlive.networks.mini2 import SKIP_SIDES, Mini2Network, Modulation

# Faces per pass of each block on a CPU: this many fit into a core's cache, more do not.
AT_ONCE = (8, 8, 4, 2)
EPSILON = 1e-5  # added to the normalisation's variance
PIXELS = 4  # of a row that the last convolution draws at a time
LAST = 3  # index of the decoder's last block


class FoldedMini2(nn.Module):
    """Network that draws a mouth into a window, (B, 3, 80, 112) RGB 0..1, whose mouth shows class colours.

    For drawing only, without gradients. It shares the original network's weights and stores products of some of them.
    """

    def __init__(self, network: Mini2Network) -> None:
        super().__init__()
        self.network = network
        last = network.final_conv
        with torch.no_grad():
            self.register_buffer("enlarging", enlarging(network.decoder_blocks[LAST].get_submodule("conv").weight))
            self.register_buffer("row", row_of_pixels(last.weight))
            self.register_buffer("row_bias", last.bias.repeat(PIXELS))
            for number, (skip, side) in enumerate(zip(self._fuses(), SKIP_SIDES, strict=True)):
                self.register_buffer(f"skip{number}", skip.weight.expand(-1, -1, side, side) / side**2)

    def _fuses(self) -> tuple[nn.Conv2d, nn.Conv2d]:
        return self.network.skip_fuse0, self.network.skip_fuse1

    def person(self, style: Tensor) -> list[Modulation]:
        """Return the effect of a style, (B, 64), on each block; computed once per person."""
        return self.network.person(style)

    def forward(self, source: Tensor, person: list[Modulation]) -> Tensor:
        source = source.contiguous(memory_format=torch.channels_last)
        x = self.network.motion_encoder(source)
        for number, style in enumerate(person):
            at_once = len(x) if x.device.type != "cpu" else AT_ONCE[number]
            if len(x) <= at_once:
                x = self._step(number, x, source, style)
            else:
                parts = zip(*(each.split(at_once) for each in (x, source, *style)), strict=True)
                x = torch.cat([self._step(number, part, seen, Modulation(*of)) for part, seen, *of in parts])
        return x

    def _step(self, number: int, x: Tensor, source: Tensor, style: Modulation) -> Tensor:
        """Run one block of the decoder and the operations that follow it."""
        block = self.network.decoder_blocks[number]
        conv = block.get_submodule("conv")
        if number == LAST:
            return self._drawn(styled(functional.conv_transpose2d(x, self.enlarging, conv.bias, 2, 1), style))
        x = styled(conv(block.enlarged(x)), style)
        if number == 0:
            return x
        skip, side = self.get_buffer(f"skip{number - 1}"), SKIP_SIDES[number - 1]
        return x.add_(functional.conv2d(source, skip, self._fuses()[number - 1].bias, side))

    def _drawn(self, x: Tensor) -> Tensor:
        """Return the image, (B, 3, h, w), of features (B, 16, h, w)."""
        batch, _, height, width = x.shape
        rows = functional.conv2d(x, self.row, self.row_bias, (1, PIXELS), 1).permute(0, 2, 3, 1)
        return torch.sigmoid(rows.reshape(batch, height, width, 3)).permute(0, 3, 1, 2)


def styled(x: Tensor, style: Modulation) -> Tensor:
    """Apply `StyleModulation` and a rectifier in place, channels last.

    Sums over the plane are computed as products with a row vector.
    """
    batch, channels, height, width = x.shape
    scale, bias, opens = (each.flatten(1)[:, None] for each in style)
    pixels = x.permute(0, 2, 3, 1).reshape(batch, height * width, channels)
    mean_of = pixels.new_full((1, height * width), 1 / (height * width))
    gate = (pixels * opens).sigmoid_()
    plain = pixels - mean_of @ pixels
    plain.mul_(torch.rsqrt(mean_of @ plain.square() + EPSILON))
    out = gate.mul_(torch.addcmul(bias, plain, scale)).add_(plain).relu_()
    return out.view(batch, height, width, channels).permute(0, 3, 1, 2)


def enlarging(weight: Tensor) -> Tensor:
    """Fold an enlargement by two and a convolution (outputs, inputs, 3, 3) into one transposed convolution.

    Returns (inputs, outputs, 4, 4).
    """
    turned = weight.flip(2, 3).transpose(0, 1)
    shifts = [(left, top) for left in (0, 1) for top in (0, 1)]
    moved = [functional.pad(turned, (left, 1 - left, top, 1 - top)) for left, top in shifts]
    return torch.stack(moved).sum(0)


def row_of_pixels(weight: Tensor) -> Tensor:
    """Return the weights of the row convolution, (4 outputs, inputs, 3, 6).

    weight: (outputs, inputs, 3, 3), repeated for four pixels of a row, whose outputs are concatenated.
    """
    return torch.cat([functional.pad(weight, (at, PIXELS - 1 - at)) for at in range(PIXELS)])
