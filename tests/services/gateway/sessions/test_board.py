"""What a session's figures say of the machine, and what of its network alone."""

import time

import pytest

from services.gateway.sessions.board import RATE_SETTLES_S, RATES, KeptSession
from shared.session_spec import SessionSpec

pytestmark = pytest.mark.unit
DUE_FPS = 25.0


def kept_at(rates: list[float], **figures: float) -> KeptSession:
    """A session on air that was told to have these rates, frames a second."""
    spec = SessionSpec(
        id="abcdefgh1234", avatar="sample", engine="mesh", ahead_us=0, width=512, height=512, label=True, token="given"
    )
    kept = KeptSession(spec, "", 100.0, state="live", on_air=time.time() - 2 * RATE_SETTLES_S)
    for fps in rates:
        kept.figures = {"fps": fps} | figures
        kept.note_rate()
    return kept


def test_its_share_of_frames_is_the_mean_of_its_last_rates() -> None:
    assert kept_at([25.0, *[22.0] * RATES]).served(0.0, DUE_FPS).share == pytest.approx(0.88)
    assert kept_at([24.0, 26.0] * RATES).served(0.0, DUE_FPS).share == pytest.approx(1.0)
    assert kept_at([20.0]).served(0.0, DUE_FPS).share == 1.0  # too few to say


def test_a_session_that_its_network_holds_back_says_nothing_of_the_machine() -> None:
    assert kept_at([12.0] * RATES, held_back=1.0).served(0.0, DUE_FPS).share == 1.0


def test_a_session_whose_encoder_begins_says_nothing_of_the_machine() -> None:
    kept = kept_at([])
    kept.on_air, kept.figures = 0.0, {"fps": 12.0}
    for _ in range(RATES):
        kept.note_rate()
    assert kept.on_air and kept.served(0.0, DUE_FPS).share == 1.0


def test_it_is_on_air_from_when_it_first_was() -> None:
    kept = kept_at([25.0])
    assert kept.served(kept.on_air + 7.0, DUE_FPS).on_air == pytest.approx(7.0)
    kept.state = "reconnecting"
    kept.note_rate()
    assert kept.served(kept.on_air + 8.0, DUE_FPS).on_air == pytest.approx(8.0) and not kept.rates


def test_a_session_joins_again_with_its_newest_token() -> None:
    kept = kept_at([])
    assert kept.wanted.token == "given"
    kept.renewed = "newer"
    assert kept.wanted.token == "newer" and kept.spec.token == "given"
