"""Faults of the original that `mode=fixed` does not have, each with the figure that shows it."""

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from shared.errors import StudioError

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")
pytest.importorskip("diffusers", reason="diffusers is not installed: `make setup-torch` brings it")
pytest.importorskip("transformers", reason="transformers is not installed: `make setup-torch` brings it")

from engines.stableavatar.layout import (  # noqa: E402
    PER_LATENT,
    SPAN,
    SPEECH_RATE_HZ,
    LatentWindow,
    Layout,
    fixed_layout,
    original_layout,
    sample_at,
)
from engines.stableavatar.loop.blend import blend_weights, joined  # noqa: E402
from engines.stableavatar.loop.guidance import Guidance, predicted  # noqa: E402
from engines.stableavatar.loop.reuse import FIRST_STEPS, changes, reused_steps  # noqa: E402
from engines.stableavatar.loop.schedule import sigmas  # noqa: E402
from engines.stableavatar.networks.audio_adapter import group_ranges  # noqa: E402
from engines.stableavatar.networks.transformer import Sizes, Transformer  # noqa: E402
from engines.stableavatar.speech import heard_by, level_of  # noqa: E402
from harness.by_rule import by_rule  # noqa: E402

RATE = Fraction(25)
FEATURE_SAMPLES, FEATURE_SPAN = 320, 400  # of Wav2Vec 2.0: between two features, and within one
SIZES = Sizes(dim=48, heads=4, layers=2, feed_forward=64, frequencies=32, text_width=32, clip_width=32, audio_width=32)


def samples(frames: int) -> int:
    return frames * SPEECH_RATE_HZ // int(RATE)


def leads(layout: Layout, window: LatentWindow) -> list[float]:
    """Return the seconds by which the sound that each latent frame hears is ahead of its image; less than 0: it lags.

    The first frame, which is the reference image, is left out.
    """
    begin, end = window.sound
    features = (end - begin - FEATURE_SPAN) // FEATURE_SAMPLES + 1
    found = []
    for place, (first, last) in list(enumerate(group_ranges(features, layout.window_frames)))[1 : len(window)]:
        heard = begin + (first + last) / 2 * FEATURE_SAMPLES + FEATURE_SPAN / 2
        shown = (PER_LATENT * (window.start + place) - 1) / RATE * SPEECH_RATE_HZ
        found.append(float(heard - shown) / SPEECH_RATE_HZ)
    return found


def test_f1_a_clip_shorter_than_a_window_is_made() -> None:
    """For two seconds of speech, the original denoises no latent frame at all."""
    assert original_layout(samples(50), RATE, 5).windows == ()
    (window,) = fixed_layout(50, RATE, 5).windows
    assert (window.start, window.stop) == (0, SPAN) and fixed_layout(50, RATE, 5).frames == 50


@pytest.mark.parametrize("frames", [81, 84])
def test_f2_a_clip_of_exactly_a_window_ends(frames: int) -> None:
    with pytest.raises(StudioError, match="never finishes speech of exactly one window"):
        original_layout(samples(frames), RATE, 5)
    assert fixed_layout(frames, RATE, 5).frames == frames


def test_f3_lips_do_not_lag_at_the_end() -> None:
    """In the original, a last window of 11 latent frames lags by 0.73 s at its end."""
    worst = min(lead for layout in originals(11) for lead in leads(layout, layout.windows[-1]))
    assert worst == pytest.approx(-0.73, abs=0.03)
    assert lead_bound(lambda layout: layout.windows[-1]) < 0.03


def originals(short: int) -> list[Layout]:
    """Return the original's layouts whose last window has so many latent frames."""
    found = [original_layout(samples(PER_LATENT * (n - 1) + 4), RATE, 5) for n in range(SPAN + 1, 3 * SPAN)]
    return [layout for layout in found if len(layout.windows[-1]) == short]


def lead_bound(which: Any) -> float:
    """Return the greatest lead or lag of a window of ours, over clips of many lengths."""
    layouts = [fixed_layout(ticks, RATE, 5) for ticks in range(20, 300, 7)]
    return max(abs(lead) for layout in layouts for lead in leads(layout, which(layout)))


def test_f4_every_window_is_whole() -> None:
    """The padding of a short window takes part in attention, so that the same frames come out differently."""
    network, rng = tiny(), torch.Generator().manual_seed(1)
    short = torch.randn(1, 16, 3, 4, 4, generator=rng)
    changed = velocity(network, short, frames=9) - velocity(network, short, frames=9, tokens=24)
    assert float(changed.abs().max()) > 1e-2
    for ticks in range(1, 500, 9):
        assert all(len(window) == SPAN for window in fixed_layout(ticks, RATE, 5).windows)
    assert {len(window) for window in original_layout(samples(200), RATE, 5).windows} != {SPAN}


def test_f5_speech_is_not_squeezed_into_a_window() -> None:
    """A whole window of the original hears 84 frames and shows 81, so that it leads at its end."""
    whole = original_layout(samples(400), RATE, 5)
    assert leads(whole, whole.windows[0])[-1] == pytest.approx(0.09, abs=0.03)
    assert lead_bound(lambda layout: layout.windows[0]) < 0.03


def test_f5_a_pause_stays_silent() -> None:
    """Normalising a stretch by its own level makes speech out of the noise of a pause."""
    rng = np.random.default_rng(2)
    speech = rng.normal(size=samples(400)).astype(np.float32) * 0.2
    speech[: samples(90)] *= 1e-2
    ours, theirs = fixed_layout(400, RATE, 5), original_layout(samples(400), RATE, 5)
    level = level_of(speech)
    assert float(heard_by(theirs.windows[0], theirs, speech, level).std()) == pytest.approx(1, abs=0.02)
    assert float(heard_by(ours.windows[0], ours, speech, level).std()) < 0.02


def test_f6_without_guidance_a_frame_hears_its_own_speech() -> None:
    """In the original, one sample gets three contexts and hears them one after the other."""
    network, latents = tiny(), torch.randn(1, 16, 5, 4, 4, generator=torch.Generator().manual_seed(2))

    def predict(rows: list[int], heard: tuple[bool, ...]) -> Any:
        return velocity(network, latents.expand(len(rows), -1, -1, -1, -1), heard=heard)

    right = velocity(network, latents, heard=(True,))
    ours = predicted(Guidance(1, 1), predict)
    theirs = predicted(Guidance(1, 1, original=True), predict_one(predict))
    assert torch.equal(ours, right)
    assert float((theirs - right).abs().max()) > 1e-3
    low = predicted(Guidance(2.0, 1.0), predict)
    assert len(Guidance(2.0, 1.0).texts) == 2 and torch.allclose(low, right, atol=1e-5), "both texts are the same here"


def predict_one(predict: Any) -> Any:
    """Predict as the original does without guidance: one sample, three contexts."""
    return lambda rows, heard: predict(rows[:1], heard)


def test_f7_reuse_is_decided_once_a_step() -> None:
    """It depends on a step's time, not on a window: the original compares a step with itself and finds no change."""
    changed = changes(tiny(), sigmas(50))
    assert len(changed) == 49 and min(changed) > 0
    reused = reused_steps(changed, 0.1)
    assert not any(reused[:FIRST_STEPS]) and not reused[-1] and len(reused) == 50
    assert any(reused_steps([1e-3] * 49, 1.0)) and not any(reused_steps([1e-3] * 49, 0.0))


def test_f8_windows_of_a_step_may_be_done_in_any_order() -> None:
    """The result of a step depends on the windows, not on their order."""
    layout = fixed_layout(200, RATE, 12)
    made = {
        w.number: torch.randn(1, 16, SPAN, 2, 2, generator=torch.Generator().manual_seed(w.number))
        for w in layout.windows
    }
    whole = joined(layout, LatentWindow(0, 0, layout.latents, (0, 0), 0), 1, lambda w: made[w.number], "log")
    for window in reversed(layout.windows):
        found = joined(layout, window, 1, lambda w: made[w.number], "log")
        assert torch.equal(found, whole[:, :, window.start : window.stop])


@pytest.mark.parametrize("scheme", ["uniform", "log"])
def test_f9_an_overlap_of_one_is_a_number(scheme: Any) -> None:
    with pytest.raises(StudioError, match="divides by zero at 1"):
        original_layout(samples(400), RATE, 1)
    layout = fixed_layout(400, RATE, 1)
    assert {w.blended for w in layout.windows[1:-1]} == {1}
    for overlap in range(1, SPAN):
        weights = blend_weights(overlap, scheme)
        assert bool(torch.isfinite(weights).all()) and all(a <= b for a, b in pairwise(weights.tolist()))


def test_f11_frames_do_not_drift_from_the_sound() -> None:
    """At 30 frames a second the original is 0.11 s off after three minutes."""
    rate, frame = Fraction(30), 5400
    theirs = frame * int(SPEECH_RATE_HZ / rate) / SPEECH_RATE_HZ - frame / float(rate)
    ours = sample_at(frame, rate) / SPEECH_RATE_HZ - frame / float(rate)
    assert theirs == pytest.approx(-0.1125) and abs(ours) < 1e-4
    last = fixed_layout(frame, rate, 5).windows[-1]
    assert last.sound[0] == sample_at(PER_LATENT * last.start, rate)


def test_a_clip_has_its_speechs_length_to_one_frame() -> None:
    """The original's clip may be up to three frames short."""
    assert {ticks - original_layout(samples(ticks), RATE, 5).frames for ticks in range(100, 120)} == {0, 1, 2, 3}
    for ticks in range(1, 400):
        layout = fixed_layout(ticks, RATE, 5)
        assert layout.frames == ticks <= PER_LATENT * (layout.latents - 1) + 1


@pytest.mark.parametrize("overlap", [1, 5, 10, 20])
def test_windows_cover_the_clip(overlap: int) -> None:
    for ticks in range(1, 900, 31):
        layout = fixed_layout(ticks, RATE, overlap)
        assert layout.windows[0].start == 0 and layout.windows[-1].stop == layout.latents
        for before, after in pairwise(layout.windows):
            assert before.start < after.start and after.blended == before.stop - after.start >= overlap


def tiny() -> Any:
    return by_rule(Transformer(SIZES), "transformer").eval()


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read
def velocity(network: Any, latents: Any, heard: tuple[bool, ...] = (True,), frames: int = 17, tokens: int = 0) -> Any:
    rng = torch.Generator().manual_seed(3)
    condition = torch.randn(1, 20, *latents.shape[2:], generator=rng)
    text, clip = torch.randn(7, 32, generator=rng), torch.randn(1, 257, 32, generator=rng)
    features = 3 * torch.randn(1, 2 * frames, 32, generator=rng)
    seen = network.see([text] * len(latents), clip)
    return network(latents, condition, torch.tensor([700.0]), seen, features, heard=heard, frames=frames, tokens=tokens)
