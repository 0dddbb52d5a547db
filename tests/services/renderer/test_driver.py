"""The sound that a driver provides for a segment: each sample is at its time."""

from pathlib import Path

from services.renderer.pipeline.driver import read_samples, write_samples
from shared.runtime.clock import SOUND_RATE_HZ
from tests.support.files.sound_files import silent_spans, tone, write_holed_sound


def test_a_hole_in_the_sound_is_silence(tmp_path: Path) -> None:
    driver = write_holed_sound(tmp_path / "in.mkv", [(0.0, tone(0.2)), (0.7, tone(0.3))])
    assert write_samples(driver, tmp_path / "samples") == SOUND_RATE_HZ
    assert silent_spans(read_samples(tmp_path / "samples", 0, None)) == [(0.2, 0.7)]
