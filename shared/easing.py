"""The easing curve of every fade, crossfade and closing movement."""

from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

EasedFloats = TypeVar("EasedFloats", bound=np.floating[Any])


@overload
def smoothstep(value: float) -> float: ...
@overload
def smoothstep(value: NDArray[EasedFloats]) -> NDArray[EasedFloats]: ...
def smoothstep(value: Any) -> Any:
    """Return t^2 (3 - 2 t), where t is `value` clipped to 0..1: a curve from 0 to 1 with zero slope at both ends.

    value: a number, or floats of any shape; the result has the same shape and dtype.
    """
    t = np.clip(value, 0.0, 1.0) if isinstance(value, np.ndarray) else min(1.0, max(0.0, value))
    return t * t * (3.0 - 2.0 * t)
