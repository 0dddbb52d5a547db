"""Types of the callbacks by which long work reports progress."""

from collections.abc import Callable

FrameProgress = Callable[[int, int], None]
"""Called with frames done and frames in total."""

StageProgress = Callable[[str, float], None]
"""Called with the name of the stage and its share done, 0 to 1."""
