"""Reads arrays from a pickle without unpickling it.

The pickle's instructions are interpreted symbolically; nothing is imported or called.

Supported are the parts of a scikit-learn model with plain attributes: names, numbers, tuples, dictionaries, and numpy
arrays of numbers. Any other instruction, and any other class where a value is needed, is refused.
"""

import pickletools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 16 << 20
PLAIN = {
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE",
    "SHORT_BINBYTES", "BINBYTES", "BINBYTES8",
}  # fmt: skip
VALUES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
NUMBERS: dict[str, np.dtype[Any]] = {"f4": np.dtype("<f4"), "f8": np.dtype("<f8")}


class UnreadableError(ValueError):
    """The file is not a pickle of plain attributes and arrays."""


@dataclass(slots=True, eq=False)
class Made:
    """An object that unpickling would create: class, arguments and state. It is never created."""

    of: Any
    arguments: Any = ()
    state: Any = None


@dataclass(frozen=True, slots=True)
class Name:
    """A class or function, represented by its name only."""

    module: str
    name: str


def attributes(raw: bytes) -> Mapping[str, Any]:
    """Return the attributes of the object in a pickle. Raises UnreadableError.

    Arrays are represented as `Made`; `array` converts one.
    """
    if len(raw) > MAX_BYTES:
        raise UnreadableError("it is far too large")
    try:
        made = _followed(raw)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableError(str(error)[:80] or type(error).__name__) from None
    if not isinstance(made, Made) or not isinstance(made.state, dict):
        raise UnreadableError("it holds no model")
    return made.state


def array(made: Any) -> NDArray[np.float64]:
    """Return the numpy array that `made` represents. Raises UnreadableError for anything else."""
    try:
        assert isinstance(made, Made) and isinstance(made.of, Name) and made.of.name == "_reconstruct"
        _, shape, dtype, fortran, data = made.state
        kind = NUMBERS[dtype.arguments[0].lstrip("<")]
        assert dtype.of == Name("numpy", "dtype") and dtype.state[1] == "<" and isinstance(data, bytes)
        values = np.frombuffer(data, kind).astype(np.float64)
        return np.asarray(values.reshape(shape, order="F" if fortran else "C"))
    except (AssertionError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        raise UnreadableError("it holds something other than an array of numbers") from None


def _followed(raw: bytes) -> Any:
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    for operation, argument, _ in pickletools.genops(raw):
        name = operation.name
        if name in ("PROTO", "FRAME"):
            continue
        if name == "STOP":
            return stack.pop()
        if name in PLAIN:
            stack.append(VALUES.get(name, argument))
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[int(str(argument))] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[int(str(argument))])
        elif name == "MARK":
            marks.append(len(stack))
        elif name in ("EMPTY_TUPLE", "EMPTY_DICT"):
            stack.append(() if name == "EMPTY_TUPLE" else {})
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3", "TUPLE"):
            at = marks.pop() if name == "TUPLE" else len(stack) - int(name[-1])
            stack[at:] = [tuple(stack[at:])]
        elif name == "SETITEMS":
            at = marks.pop()
            items = stack[at:]
            del stack[at:]
            stack[-1].update(zip(items[::2], items[1::2], strict=True))
        elif name in ("STACK_GLOBAL", "GLOBAL"):
            module, attribute = str(argument).split(" ") if name == "GLOBAL" else (stack.pop(-2), stack.pop())
            stack.append(Name(module, attribute))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments = stack.pop()
            stack.append(Made(stack.pop(), arguments))
        elif name == "BUILD":
            state = stack.pop()
            stack[-1].state = state
        else:
            raise ValueError(f"it has the instruction {name}")
    raise ValueError("it has no end")
