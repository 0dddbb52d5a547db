"""Motion templates: a driver's motion without its frames.

The studio's own format is an .npz of plain arrays. Published templates are pickled; they are read by an unpickler that
accepts numpy arrays and nothing else, with or without the openings of eyes and lips, and with the newer or the older
names.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from engines.liveportrait.motion.keypoints import POINTS, KeypointMotion
from engines.liveportrait.motion.retarget_rules import Ratios
from shared.errors import StudioError
from shared.media.array_types import FloatArray
from shared.runtime.files import write_atomically

VERSION = 1
PARTS = ("scale", "rotation", "exp", "t")  # arrays that make up a motion
MAX_TEMPLATE_BYTES = 256 * 2**20  # of a file, and of its unpacked content
_KNOWN = {("numpy", "ndarray"), ("numpy", "dtype")}


@dataclass(frozen=True, slots=True)
class TemplateFrame:
    """One frame of a template.

    alone: the template has no other frame, so there is none to compare with.
    """

    motion: KeypointMotion
    anchor: KeypointMotion
    ratios: Ratios | None
    alone: bool


@dataclass(frozen=True, slots=True)
class LivePortraitTemplate:
    """A driver's motion, frame by frame, and the openings of its eyes and lips if they were measured.

    fps: frames per second. anchor: the driver at rest, which relative motion is measured from; published templates use
        their first frame.
    """

    motions: list[KeypointMotion]
    fps: float
    ratios: list[Ratios] | None
    anchor: KeypointMotion

    @property
    def rate(self) -> Fraction:
        """Frames per second as an exact fraction: 29.97 in a file is 2997/100."""
        return Fraction(self.fps).limit_denominator(1001)

    def __len__(self) -> int:
        return len(self.motions)

    def __getitem__(self, number: int) -> TemplateFrame:
        ratios = self.ratios[number] if self.ratios is not None else None
        return TemplateFrame(self.motions[number], self.anchor, ratios, len(self.motions) == 1)

    def save(self, path: Path) -> None:
        """Write the template as .npz, completely or not at all."""
        held: dict[str, NDArray[Any]] = {"version": np.array(VERSION), "fps": np.array(self.fps)}
        for name in PARTS:  # the anchor comes before the frames
            held[name] = np.stack([getattr(motion, name) for motion in (self.anchor, *self.motions)])
        if self.ratios is not None:
            held["eyes"] = np.stack([r.eyes for r in self.ratios])
            held["lips"] = np.stack([r.lips for r in self.ratios])
        out = BytesIO()
        np.savez_compressed(out, allow_pickle=False, **held)
        write_atomically(path, out.getvalue(), 0o644)


def parse_template(path: Path) -> LivePortraitTemplate:
    """Read a template in either format. Raises StudioError for a file that is not a template."""
    try:
        if path.stat().st_size > MAX_TEMPLATE_BYTES:
            raise StudioError(f"{path.name} is larger than a motion template can be; choose another file.")
        data = path.read_bytes()
    except OSError as error:
        raise StudioError(f"{path} cannot be read ({error.strerror}); choose another file.") from None
    try:
        return _ours(data) if data[:2] == b"PK" else _published(data)
    except Exception:  # a file of unknown origin may fail in any way: unpacking, unpickling, memory
        raise StudioError(
            f"{path.name} is not a motion template; use one that this studio or LivePortrait wrote."
        ) from None


def _ours(data: bytes) -> LivePortraitTemplate:
    with ZipFile(BytesIO(data)) as packed:
        if sum(entry.file_size for entry in packed.infolist()) > MAX_TEMPLATE_BYTES:
            raise ValueError("it would unpack to more than the limit")
    with np.load(BytesIO(data), allow_pickle=False) as held:
        if int(held["version"]) != VERSION:
            raise ValueError("another version")
        arrays = [held[name] for name in PARTS]
        anchor, *motions = (_motion(*row) for row in zip(*arrays, strict=True))
        ratios = [_ratios(e, m) for e, m in zip(held["eyes"], held["lips"], strict=True)] if "eyes" in held else None
        return _checked(motions, float(held["fps"]), ratios, anchor)


def _published(data: bytes) -> LivePortraitTemplate:
    found = _Arrays(BytesIO(data)).load()
    motions = [
        _motion(f["scale"], f["R"] if "R" in f else f["R_d"], f["exp"], f["t"], f.get("kp")) for f in found["motion"]
    ]
    eyes, lips = (
        found.get(name, found.get(older))
        for name, older in (("c_eyes_lst", "c_d_eyes_lst"), ("c_lip_lst", "c_d_lip_lst"))
    )
    ratios = [_ratios(e, m) for e, m in zip(eyes, lips, strict=True)] if eyes and lips else None
    return _checked(motions, float(found.get("output_fps", 25)), ratios, motions[0])


def _checked(
    motions: list[KeypointMotion], fps: float, ratios: list[Ratios] | None, anchor: KeypointMotion
) -> LivePortraitTemplate:
    numbers = [np.concatenate([a.ravel() for a in (m.scale, m.rotation, m.exp, m.t)]) for m in (anchor, *motions)]
    if not motions or not np.isfinite(numbers).all() or not 1 <= fps <= 240:
        raise ValueError("no motion")
    if ratios is not None and len(ratios) != len(motions):
        raise ValueError("openings for other frames")
    return LivePortraitTemplate(motions, fps, ratios, anchor)


def _motion(scale: Any, rotation: Any, exp: Any, t: Any, kp: Any = None) -> KeypointMotion:
    return KeypointMotion(
        _array(scale, ()),
        _array(rotation, (3, 3)),
        _array(exp, (POINTS, 3)),
        _array(t, (3,)),
        None if kp is None else _array(kp, (POINTS, 3)),
    )


def _ratios(eyes: Any, lips: Any) -> Ratios:
    return Ratios(_array(eyes, (2,)), _array(lips, ()))


def _array(value: Any, shape: tuple[int, ...]) -> FloatArray:
    if np.size(value) != prod(shape):  # checked before the copy, since it may claim any size
        raise ValueError("another shape")
    return np.array(value, np.float32).reshape(shape)


class _Arrays(pickle.Unpickler):
    """Unpickler for numpy arrays, numbers and builtin containers; it refuses any other class without importing it."""

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy._core", "numpy.core")
        if (module, name) in _KNOWN:
            return getattr(np, name)
        if module == "numpy.core.multiarray" and name in ("_reconstruct", "scalar"):
            return _rebuilt(name)
        raise pickle.UnpicklingError(f"{module}.{name}")


def _rebuilt(name: str) -> Callable[..., Any]:
    from numpy.core import multiarray

    return getattr(multiarray, name)  # type: ignore[no-any-return]
