"""The three small networks that correct keypoints: at the seam to the shoulders, at the eyes and at the lips."""

from itertools import pairwise

from torch import Tensor, nn

STITCHING = (126, 128, 128, 64, 65)
LIPS = (65, 128, 128, 64, 63)
EYES = (66, 256, 256, 128, 128, 64, 63)


class Retargeting(nn.Module):
    """Alternating linear layers and rectifiers, (B, sizes[0]) to (B, sizes[-1])."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in pairwise(sizes):
            layers += [nn.Linear(a, b), nn.ReLU()]
        self.mlp = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.mlp(x)
        return out
