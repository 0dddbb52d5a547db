"""How a long piece of work reports how far it has come."""

from collections.abc import Callable

FrameProgress = Callable[[int, int], None]
"""Called with frames done and frames in total."""

StageProgress = Callable[[str, float], None]
"""Called with the name of the stage and its share done, 0 to 1."""
