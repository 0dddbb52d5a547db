"""Losses of a drawn mouth.

They use a network that distinguishes drawn from filmed mouths and, if its weights are given, the features of VGG19.
"""

from itertools import pairwise
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from shared.errors import StudioError
from shared.weights.checkpoint import check_state, load_state

BLOCKS, FIRST, MOST = 3, 64, 512
DEPTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512)  # VGG19's convolutions; 0 halves
SEEN_AFTER = (1, 6, 11, 20, 29)  # indices of VGG19's layers whose features are compared: the first of each depth
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PatchJudge(nn.Module):
    """Network from (B, 3, h, w) to a map of scores, near 1 where a patch looks filmed."""

    def __init__(self) -> None:
        super().__init__()
        widths = [3, *(min(MOST, FIRST * 2 ** (k + 1)) for k in range(BLOCKS))]
        self.blocks = nn.ModuleList(nn.Conv2d(a, b, 4) for a, b in pairwise(widths))
        self.last = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        for number, block in enumerate(self.blocks):
            x = functional.leaky_relu(block(x), 0.2)
            if number < BLOCKS - 1:
                x = functional.avg_pool2d(x, 2)
        judged: Tensor = self.last(x)
        return judged


def judged_as(judgements: Tensor, filmed: bool) -> Tensor:
    """Return the least-squares loss of scores against their target, 1 for filmed and 0 for drawn."""
    return ((judgements - float(filmed)) ** 2).mean()


class Perception(nn.Module):
    """Perceptual loss: the difference of VGG19's features between two images, at full and at half size."""

    def __init__(self, path: Path) -> None:
        """Load VGG19.

        path: its published weights ("features.0.weight", ...). Raises StudioError for another file.
        """
        super().__init__()
        layers: list[nn.Module] = []
        width = 3
        for depth in DEPTHS:
            layers += [nn.Conv2d(width, depth, 3, padding=1), nn.ReLU()] if depth else [nn.MaxPool2d(2)]
            width = depth or width
        self.features = nn.Sequential(*layers)
        wanted = {name: tuple(value.shape) for name, value in self.state_dict().items()}
        state = {name: value for name, value in load_state(path).items() if name in wanted}
        if not state:
            raise StudioError(f"{path} holds no weights of VGG19; give the file of torchvision's vgg19.")
        self.load_state_dict(check_state(state, wanted, str(path)))
        self.requires_grad_(False)

    def forward(self, drawn: Tensor, filmed: Tensor) -> Tensor:
        far = drawn.new_zeros(())
        for a, b in ((drawn, filmed), (halved(drawn), halved(filmed))):
            far = far + sum(
                ((x - y).abs().mean() for x, y in zip(self._seen(a), self._seen(b), strict=True)), drawn.new_zeros(())
            )
        return far / (2 * len(SEEN_AFTER))

    def _seen(self, x: Tensor) -> list[Tensor]:
        x = (x - x.new_tensor(MEAN)[:, None, None]) / x.new_tensor(SPREAD)[:, None, None]
        seen = []
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in SEEN_AFTER:
                seen.append(x)
        return seen


def halved(x: Tensor) -> Tensor:
    """Return images at half size."""
    return functional.interpolate(x, scale_factor=0.5, mode="bilinear")
