"""One level of a comparison: arrays by name, a tolerance, and the worst of the arrays."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

BYTES = 1  # grey levels that an image may be off by


@dataclass(slots=True)
class Tolerance:
    """A level, which agrees if every array does: |ours - theirs| <= atol + rtol * max|theirs|.

    Images agree within one grey level.
    """

    name: str
    atol: float
    rtol: float
    count: int = 0
    worst: tuple[float, str] = (0.0, "nothing")
    wrong: list[str] = field(default_factory=list)

    def check(self, key: str, theirs: ArrayLike, ours: ArrayLike) -> None:
        """Compare one array."""
        a, b = np.asarray(theirs), np.asarray(ours)
        self.count += 1
        if a.shape != b.shape:
            self.wrong.append(f"{key}: shape {b.shape} for {a.shape}")
            return
        limit = BYTES if a.dtype == np.uint8 else self.atol + self.rtol * float(np.abs(a).max(initial=0.0))
        off = float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0.0))
        share = off / limit if np.isfinite(off) else float("inf")
        if share > self.worst[0]:
            self.worst = share, f"{key} off by {off:.2e}"
        if not share <= 1.0:  # NaN too
            self.wrong.append(f"{key}: off by {off:.2e}, at most {limit:.2e}")

    @property
    def agrees(self) -> bool:
        return self.count > 0 and not self.wrong

    def __str__(self) -> str:
        share, key = self.worst
        verdict = "agrees" if self.agrees else "DIFFERS"
        line = f"{self.name}: {verdict}, {self.count} arrays, worst {100 * share:.1f} % of its tolerance ({key})"
        return "\n  ".join([line, *self.wrong[:20]])
