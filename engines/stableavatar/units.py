"""The units of a clip: one that encodes, one that reads the speech, one per window and step, and one for the clip.

A window of a step needs only its neighbouring windows of the previous step. The windows of a step therefore run on as
many workers as there are, and the first windows may be several steps ahead of the last.
"""

from engines.stableavatar.estimate import ClipWork
from engines.stableavatar.layout import LatentWindow, Layout
from shared.jobs.graph import UnitSpec

ENCODE, LISTEN, DENOISE, CLIP = "encode", "listen", "denoise", "clip"
# Reading the encoders' 14 GB takes longer than computing with them: about as long as this many windows, at 1 GB and 90
# TFLOP per second. Without it the estimated remaining time would be a hundred times too long while they are read.
READ_WINDOWS = 3


def window_unit(step: int, window: int) -> str:
    """Return the name of the unit for a window in a step."""
    return f"{DENOISE}-{step:03d}-{window:04d}"


def step_and_window(unit: str) -> tuple[int, int]:
    """Return the step and the window of a unit named by `window_unit`."""
    _, step, window = unit.split("-")
    return int(step), int(window)


def declared(layout: Layout, steps: int, work: ClipWork) -> list[UnitSpec]:
    """Return all units, in the order in which one worker runs them."""

    def before(step: int, window: LatentWindow) -> tuple[str, ...]:
        return tuple(window_unit(step - 1, each.number) for each in layout.beside(window)) if step else ()

    first = [UnitSpec(ENCODE, weight=work.encode + READ_WINDOWS * work.window)] if layout.windows else []
    once = tuple(unit.name for unit in first) + (LISTEN,)
    windows = [
        UnitSpec(
            window_unit(step, window.number),
            (*once, *before(step, window)),
            work.window,
            f"window {window.number + 1} of {len(layout.windows)} in step {step + 1} of {steps}",
        )
        for step in range(steps)
        for window in layout.windows
    ]
    last = tuple(window_unit(steps - 1, window.number) for window in layout.windows)
    return [
        *first,
        UnitSpec(LISTEN, weight=work.listen),
        *windows,
        UnitSpec(CLIP, (LISTEN, *last), work.decode),
    ]
