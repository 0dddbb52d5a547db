"""A clip engine that keeps every rule of the conformance suite, and one that breaks each rule on clips."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from persona_studio.engine import CLIP_FILE, Clip, ClipEngine, EngineInfo, Mp4Writer, RunContext, UnitSpec

UNITS = (UnitSpec("levels"), UnitSpec("clip", ("levels",), 2.0))


class GoodClip(ClipEngine):
    """One unit makes grey levels, the other a clip of them."""

    info = EngineInfo(
        name="good_clip",
        title="Good clip",
        inputs=frozenset({"voice"}),
        modes=frozenset({"offline"}),
        output="frame",
    )

    def units(self, clip: Clip) -> Sequence[UnitSpec]:
        return UNITS

    def run(self, unit: UnitSpec, clip: Clip, context: RunContext) -> None:
        if unit.name == "levels":
            context.progress(1, 1)
            np.save(context.scratch / "levels.npy", np.arange(40, 40 + clip.ticks))
            return
        levels = np.load(context.made("levels") / "levels.npy")
        self.write(levels, clip, context)

    def write(self, levels: np.ndarray, clip: Clip, context: RunContext) -> None:
        width, height = clip.size
        with Mp4Writer(context.scratch / CLIP_FILE, width, height, clip.rate, sound=False) as writer:
            for number, level in enumerate(levels):
                context.progress(number, clip.ticks)
                frame = np.full((height * 3 // 2, width), 128, np.uint8)
                frame[:height] = level
                writer.frame(frame, index=number)


WRONG_CLIPS: dict[str, tuple[type[GoodClip], str]] = {}


def breaks(rule: str, words: str) -> Callable[[type[GoodClip]], type[GoodClip]]:
    """Register an engine that breaks a rule, with words of the failure that must report it."""

    def register(wrong: type[GoodClip]) -> type[GoodClip]:
        WRONG_CLIPS[rule] = (wrong, words)
        return wrong

    return register


@breaks("it_is_offline", "not offline alone")
class OnAir(GoodClip):
    info = replace(GoodClip.info, modes=frozenset({"live", "offline"}))


@breaks("units_are_a_graph", "'clip'")
class Circular(GoodClip):
    def units(self, clip: Clip) -> Sequence[UnitSpec]:
        return UNITS[1], UNITS[0]


@breaks("a_clip_is_made", "reads levels, which is not among its needs")
class Greedy(GoodClip):
    def units(self, clip: Clip) -> Sequence[UnitSpec]:
        return UNITS[0], UnitSpec("clip")


@breaks("a_unit_may_begin_again", "changes the files of levels")
class Spoiling(GoodClip):
    def write(self, levels: np.ndarray, clip: Clip, context: RunContext) -> None:
        np.save(context.made("levels") / "levels.npy", levels + 1)
        super().write(levels, clip, context)


@breaks("units_stop_when_asked", "Unit levels neither reports progress nor")
class Deaf(GoodClip):
    def run(self, unit: UnitSpec, clip: Clip, context: RunContext) -> None:
        if unit.name == "levels":
            np.save(context.scratch / "levels.npy", np.arange(40, 40 + clip.ticks))
            return
        super().run(unit, clip, context)
