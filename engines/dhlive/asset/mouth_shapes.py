"""The old network's mouth: a small image mixed by six coefficients from the published PCA file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.dhlive.asset.inert_pickle import UnreadableError, array, attributes
from engines.dhlive.networks.sizes import COEFFICIENTS
from shared.errors import StudioError
from shared.media.array_types import FloatArray, ImageArray

HEIGHT, WIDTH = 15, 30


@dataclass(frozen=True, slots=True)
class MouthShapes:
    """Mean mouth and the shapes that vary it.

    mean: (1350,) float64. shapes: (6, 1350) float64. Both are averaged with their mirror images.
    """

    mean: NDArray[np.float64]
    shapes: NDArray[np.float64]

    @classmethod
    def read(cls, path: Path) -> "MouthShapes":
        """Read the shapes from the authors' pickle of a PCA without unpickling it. Raises StudioError."""
        try:
            held = attributes(path.read_bytes())
            mean, shapes = array(held.get("mean_")), array(held.get("components_"))
        except (OSError, UnreadableError) as error:
            raise StudioError(f"{path} holds no mouth images ({error}); use the authors' own file.") from None
        if mean.shape != (HEIGHT * WIDTH * 3,) or shapes.shape[1:] != mean.shape or len(shapes) < COEFFICIENTS:
            raise StudioError(f"{path} holds mouth images of another size; use the authors' own file.")
        return cls(_mirrored(mean[None])[0], _mirrored(shapes[:COEFFICIENTS]))

    def image(self, coefficients: FloatArray) -> ImageArray:
        """Return the image for (6,) coefficients, (15, 30, 3) uint8."""
        mixed = coefficients.astype(np.float64) @ self.shapes + self.mean
        return np.asarray(mixed.clip(0, 255).reshape(HEIGHT, WIDTH, 3), np.uint8)


def _mirrored(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    images = rows.reshape(len(rows), HEIGHT, WIDTH, 3)
    return np.asarray((images + images[:, :, ::-1]) / 2).reshape(rows.shape)
