"""Speech for the model: each sound at its time, and holes as silence."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from engines.stableavatar.layout import SPEECH_RATE_HZ
from engines.stableavatar.plan import count_samples
from engines.stableavatar.speech import write_speech
from tests.support.files.sound_files import silent_spans, tone, write_holed_sound


def test_a_hole_in_the_sound_is_silence_that_is_counted(tmp_path: Path) -> None:
    driver = write_holed_sound(tmp_path / "in.mkv", [(0.0, tone(0.2)), (0.7, tone(0.3))])
    speech = write_speech(driver, tmp_path / "speech.f32", lambda: None)
    assert len(speech) == pytest.approx(SPEECH_RATE_HZ, abs=2)
    ((begin, end),) = silent_spans(speech, SPEECH_RATE_HZ)
    assert (begin, end) == pytest.approx((0.2, 0.7), abs=0.011)
    assert count_samples(driver) == SPEECH_RATE_HZ
