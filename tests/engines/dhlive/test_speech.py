"""Mouth coefficients: features match Kaldi's, do not depend on block sizes, and look ahead by the declared time."""

from collections.abc import Iterable
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from engines.api import VoiceBlock  # noqa: E402
from engines.dhlive.generation import Generation  # noqa: E402
from engines.dhlive.networks.audio import AudioNetwork, silent_state  # noqa: E402
from engines.dhlive.voice import listener as listening  # noqa: E402
from engines.dhlive.voice.coefficients import Stabiliser  # noqa: E402
from engines.dhlive.voice.filter_bank import FilterBank  # noqa: E402
from engines.dhlive.voice.listener import Listener  # noqa: E402
from engines.dhlive.voice.sound import VOICE_AHEAD_US, Decimator  # noqa: E402
from engines.dhlive.voice.speech import Speech, SpeechTick  # noqa: E402
from shared.runtime.arrays import from_bytes, to_bytes  # noqa: E402
from shared.runtime.clock import SOUND_RATE_HZ, US  # noqa: E402
from tests.parity.golden_vectors.dhlive import OUT, RATES, filled, sound  # noqa: E402
from tests.support.files.voice_material import babble, silence, sound_of  # noqa: E402

RATE = Fraction(25)
STREAMED = 2e-6
OPENING = np.array([-0.463, -0.494, -1.584, -0.690, 0.314, 0.596], np.float32)  # of the published blend shapes
MINI = (Generation.MINI2, Generation.MINI1)


@cache
def network() -> AudioNetwork:
    found = filled(AudioNetwork())
    assert isinstance(found, AudioNetwork)
    return found


@cache
def voice() -> NDArray[np.int16]:
    """Return a voice of two and a half seconds."""
    return sound_of([babble(4), silence(0.9)])


def speech(generation: Generation = Generation.MINI2, rate: Fraction = RATE) -> Speech:
    return Speech(network(), generation, OPENING, rate)


def spoken(of: Speech, samples: NDArray[np.int16], sizes: Iterable[int], start: int = 3 * US + 7) -> list[SpeechTick]:
    """Return the ticks of a voice that is cut into blocks of these sizes in turn, to its end."""
    said, at, turn = [], 0, list(sizes)
    while at < len(samples):
        block = samples[at : at + turn[0]]
        said += of.hear(VoiceBlock(start + at * US // SOUND_RATE_HZ, block))
        at, turn = at + len(block), turn[1:] + turn[:1]
    return said + of.flush()


def same(found: list[SpeechTick], wanted: list[SpeechTick]) -> bool:
    return [each.pts for each in found] == [each.pts for each in wanted] and all(
        np.array_equal(a.coefficients, b.coefficients) and a.waiting == b.waiting
        for a, b in zip(found, wanted, strict=True)
    )


@pytest.mark.parametrize("rate", RATES)
def test_a_frame_is_what_kaldi_makes_of_it(rate: int) -> None:
    with np.load(OUT, allow_pickle=False) as held:
        wanted = held[f"filter bank {rate}"]
    bank, heard = FilterBank(rate), sound(rate)
    before = (bank.frame - bank.shift) // 2
    whole = np.concatenate([heard[:before][::-1], heard])
    windows = np.lib.stride_tricks.sliding_window_view(whole, bank.frame)[:: bank.shift][: len(wanted)]
    assert len(wanted) >= 14 and wanted.min() == pytest.approx(-15.942385)
    assert np.abs(bank.frames(windows) - wanted).max() <= 5e-4  # Kaldi's sums are of float32


@pytest.mark.parametrize("rate", RATES)
def test_the_rate_is_lowered_without_a_shift_or_an_echo(rate: int) -> None:
    decimator, count = Decimator(rate), rate // 10
    time = np.arange(-decimator.half, SOUND_RATE_HZ // 5) / SOUND_RATE_HZ
    passed, stopped = (9000 * np.sin(2 * np.pi * hertz * time) for hertz in (0.4 * rate, 0.6 * rate))
    low = decimator.lowered((passed + stopped).astype(np.int16), count)
    wanted = passed[decimator.half :: decimator.factor][:count] / 32768
    assert np.abs(low - wanted)[20:-20].max() < 1e-3


@pytest.mark.parametrize("generation", Generation)
@pytest.mark.parametrize("sizes", ((1920,), (480, 7, 4001), (48_000 * 3,), (960,)))
def test_coefficients_are_the_same_to_the_bit_however_the_voice_is_cut(
    generation: Generation, sizes: tuple[int, ...]
) -> None:
    wanted = spoken(speech(generation), voice(), (len(voice()),))
    assert same(spoken(speech(generation), voice(), sizes), wanted)
    assert len({each.coefficients.tobytes() for each in wanted}) > 50


@pytest.mark.parametrize("rate", RATES)
def test_a_stream_is_the_whole_at_once(rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[NDArray[np.float32]] = []
    kept = listening.Listener._pair

    def watched(self: Listener, sound: NDArray[np.int16]) -> NDArray[np.float32]:
        seen.append(kept(self, sound))
        return seen[-1]

    monkeypatch.setattr(listening.Listener, "_pair", watched)
    listener, outputs = Listener(network(), rate), []
    for at in range(0, len(voice()), 700):
        listener.append(voice()[at : at + 700])
        while (output := listener.next_output()) is not None:
            outputs.append(output.values)
    with torch.inference_mode():
        whole = network()(torch.from_numpy(np.concatenate(seen))[None], silent_state())[0][0].numpy()
    assert len(outputs) > 50
    assert np.abs(whole - np.stack(outputs)).max() <= STREAMED


@pytest.mark.parametrize("rate", (Fraction(25), Fraction(30), Fraction(60), Fraction(30000, 1001)))
def test_a_tick_comes_when_the_voice_has_reached_it_and_the_look_ahead(rate: Fraction) -> None:
    assert VOICE_AHEAD_US == 255_000
    of, said, at = speech(rate=rate), [], 0
    for at in range(0, SOUND_RATE_HZ, 48):
        for each in of.hear(VoiceBlock(at * US // SOUND_RATE_HZ, voice()[at : at + 48])):
            assert 0 <= (at + 48) * US // SOUND_RATE_HZ - each.pts - VOICE_AHEAD_US < 1000
            said.append(each)
    ticks = said + of.flush()
    assert len(ticks) == -(-rate.numerator // rate.denominator)
    assert all(each.pts < US for each in ticks)


def test_a_video_frame_shows_the_output_five_later() -> None:
    said, listener = spoken(speech(Generation.MINI1), voice(), (1920,), start=0), Listener(network(), 8000)
    listener.append(np.concatenate([voice(), np.zeros(48_000, np.int16)]))
    outputs = [output.values for _ in said if (output := listener.next_output()) is not None]
    for number in (10, 30):
        wanted = outputs[number + 5] * np.array([0.5, 0.4, 0.5, 0.5, 0.5, 0.5], np.float32)
        assert np.abs(said[number].coefficients - wanted).max() < 1e-6


def test_the_old_generation_is_four_ahead_and_unscaled() -> None:
    said, listener = spoken(speech(Generation.OLD), voice(), (1920,), start=0), Listener(network(), 16000)
    listener.append(np.concatenate([voice(), np.zeros(48_000, np.int16)]))
    outputs = [output.values for _ in said if (output := listener.next_output()) is not None]
    assert np.array_equal(said[10].coefficients, outputs[14])


def test_lips_that_cross_or_part_too_far_are_held_back() -> None:
    hold = Stabiliser(Generation.MINI2, OPENING)
    fine, crossed, wide = (np.array([0, 0, value, 0, 0, 0], np.float32) for value in (20.0, -20.0, 90.0))
    assert np.array_equal(hold.next_coefficients(fine), fine / 2)
    assert np.array_equal(hold.next_coefficients(crossed), crossed / 4 + fine / 4)
    assert np.array_equal(hold.next_coefficients(wide), wide / 4 + fine / 4)
    assert np.array_equal(hold.last, fine / 2)
    free = Stabiliser(Generation.MINI1, OPENING)
    assert np.array_equal(free.next_coefficients(crossed), crossed / 2)


def test_a_voice_goes_on_where_it_was_saved() -> None:
    of, wanted = speech(), spoken(speech(), voice(), (1920,))
    said = [tick for at in range(20) for tick in of.hear(_block(at))]
    other = speech()
    other.restore(from_bytes(to_bytes(of.save())))
    said += [tick for at in range(20, -(-len(voice()) // 1920)) for tick in other.hear(_block(at))] + other.flush()
    assert same(said, wanted)


def _block(number: int) -> VoiceBlock:
    return VoiceBlock(3 * US + 7 + number * 40_000, voice()[number * 1920 : (number + 1) * 1920])


def test_an_interrupted_mouth_closes_within_two_frames_and_another_voice_starts_over() -> None:
    of = speech()
    before = spoken_part(of)[-1].coefficients
    of.reset()
    fresh = spoken(speech(), voice()[::-1].copy(), (1920,), start=20 * US)
    after = spoken(of, voice()[::-1].copy(), (1920,), start=20 * US)
    left = after[0].coefficients - fresh[0].coefficients
    assert np.allclose(left, 0.45 * before, atol=1e-6) and np.abs(before).max() > 0.05
    assert same(after[1:], fresh[1:])


def spoken_part(of: Speech) -> list[SpeechTick]:
    return [tick for at in range(20) for tick in of.hear(_block(at))]


def test_a_gap_in_the_voice_starts_over() -> None:
    of = speech()
    spoken_part(of)
    assert not of.hear(VoiceBlock(60 * US, voice()[:1920]))
    assert [each.pts for each in of.hear(VoiceBlock(60 * US + 40_000, voice()[1920:13_000]))] == [60 * US]


def test_the_host_waits_in_a_silence_and_not_in_speech() -> None:
    said = spoken(speech(), np.concatenate([voice(), np.zeros(96_000, np.int16)]), (1920,), start=0)
    assert not any(each.waiting for each in said[:50]) and all(each.waiting for each in said[60:])
