"""State that one process leaves for another: plain arrays by name, several parts in one map, a map in one file."""

import struct
import zlib
from collections.abc import Mapping
from io import BytesIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

StateArrays = dict[str, NDArray[np.generic]]

StateMapping = Mapping[str, NDArray[np.generic]]

# What reading arrays from an NPZ file raises where it is missing or damaged, by its arrays or the archive around them:
# one that seems encrypted, or compressed in a way that is not known, is a RuntimeError; arrays of another shape are the
# last ones.
UNREADABLE_ARRAYS = (
    OSError, ValueError, KeyError, EOFError, MemoryError, RuntimeError, BadZipFile, zlib.error, struct.error,
    TypeError, IndexError, OverflowError,
)  # fmt: skip


def pack_part(part: str, state: StateMapping) -> dict[str, NDArray[np.generic]]:
    """A part's arrays under names that say whose they are."""
    return {f"{part}.{name}": value for name, value in state.items()}


def unpack_part(part: str, state: StateMapping) -> dict[str, NDArray[np.generic]]:
    """The arrays of one part."""
    return {name.removeprefix(f"{part}."): value for name, value in state.items() if name.startswith(f"{part}.")}


def to_bytes(state: StateMapping) -> bytes:
    """The arrays as the bytes of one NPZ file."""
    file = BytesIO()
    np.savez(file, allow_pickle=False, **dict(state))
    return file.getvalue()


def from_bytes(raw: bytes) -> dict[str, NDArray[np.generic]]:
    """What `to_bytes` made. Raises ValueError for anything else; nothing in it is executed."""
    try:
        with np.load(BytesIO(raw), allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except UNREADABLE_ARRAYS as error:
        raise ValueError("these are not arrays by name") from error
