"""Sound whose holes are filled with silence: sample n is n / 48,000 s after the first one."""

from pathlib import Path

import numpy as np
import pytest

from shared.media.reader import read_sound
from shared.media.unbroken_sound import SILENCE_SAMPLES, unbroken_sound
from shared.runtime.clock import SOUND_RATE_HZ
from tests.support.files.sound_files import silent_spans, tone, write_holed_sound


@pytest.mark.parametrize("begin", [0.0, 0.5])
def test_a_hole_is_silence(tmp_path: Path, begin: float) -> None:
    """Holes are counted from the first sound on, wherever the file's clock begins."""
    parts = [(begin, tone(0.2)), (begin + 0.6, tone(0.1)), (begin + 1.0, tone(0.2))]
    sound = np.concatenate(list(unbroken_sound(write_holed_sound(tmp_path / "a.mkv", parts))))
    assert len(sound) == 1.2 * SOUND_RATE_HZ
    assert silent_spans(sound) == [(0.2, 0.6), (0.7, 1.0)]


def test_a_long_hole_comes_in_blocks(tmp_path: Path) -> None:
    path = write_holed_sound(tmp_path / "a.mkv", [(0.0, tone(0.1)), (25.0, tone(0.1))])
    lengths = [len(block) for block in unbroken_sound(path)]
    assert sum(lengths) == 25.1 * SOUND_RATE_HZ and max(lengths) == SILENCE_SAMPLES


def test_sound_without_a_hole_is_as_it_is_read(tmp_path: Path) -> None:
    path = write_holed_sound(tmp_path / "a.mkv", [(0.0, tone(0.31)), (0.31, tone(0.2))])
    read, unbroken = [block for _, block in read_sound(path)], list(unbroken_sound(path))
    assert np.array_equal(np.concatenate(read), np.concatenate(unbroken)) and len(read) == len(unbroken)
