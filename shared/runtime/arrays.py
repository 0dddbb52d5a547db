"""State that one process saves for another: arrays by name, with the arrays of several parts in one NPZ file."""

import struct
import zlib
from collections.abc import Mapping
from io import BytesIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

StateArrays = dict[str, NDArray[np.generic]]

StateMapping = Mapping[str, NDArray[np.generic]]

# Exceptions raised on reading arrays from an NPZ file that is missing or damaged, by its arrays or by the ZIP archive
# around them: RuntimeError for an archive that seems encrypted or has an unknown compression; the last line for arrays
# of an unexpected shape.
UNREADABLE_ARRAYS = (
    OSError, ValueError, KeyError, EOFError, MemoryError, RuntimeError, BadZipFile, zlib.error, struct.error,
    TypeError, IndexError, OverflowError,
)  # fmt: skip


def pack_part(part: str, state: StateMapping) -> dict[str, NDArray[np.generic]]:
    """Return a part's arrays with the part's name as a prefix of theirs, such as `part.name`."""
    return {f"{part}.{name}": value for name, value in state.items()}


def unpack_part(part: str, state: StateMapping) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of one part, by their names without the prefix."""
    return {name.removeprefix(f"{part}."): value for name, value in state.items() if name.startswith(f"{part}.")}


def to_bytes(state: StateMapping) -> bytes:
    """The arrays as the bytes of one NPZ file."""
    file = BytesIO()
    np.savez(file, allow_pickle=False, **dict(state))
    return file.getvalue()


def from_bytes(raw: bytes) -> dict[str, NDArray[np.generic]]:
    """Return the arrays in the output of `to_bytes`. Raises ValueError for any other bytes; never executes content."""
    try:
        with np.load(BytesIO(raw), allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except UNREADABLE_ARRAYS as error:
        raise ValueError("these are not arrays by name") from error
