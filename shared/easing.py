"""The one curve by which things fade, come over and close."""

from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

EasedFloats = TypeVar("EasedFloats", bound=np.floating[Any])


@overload
def smoothstep(value: float) -> float: ...
@overload
def smoothstep(value: NDArray[EasedFloats]) -> NDArray[EasedFloats]: ...
def smoothstep(value: Any) -> Any:
    """From 0 up to 0 to 1 from 1 on, with no slope at either end: t^2 (3 - 2 t).

    value: a number, or floats of any shape; precision stays.
    """
    t = np.clip(value, 0.0, 1.0) if isinstance(value, np.ndarray) else min(1.0, max(0.0, value))
    return t * t * (3.0 - 2.0 * t)
