"""PersonaLive's ladder: one rung down at a time, or the rung that is chosen.

While the size of the frames stays the same, no frame is lost.
"""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.engines.personalive_material import avatar, driver, networks, run, state, torch  # isort: skip

from engines.options import options_schema
from engines.personalive import quality, session
from engines.personalive.networks.networks import PersonaLiveNetworks
from engines.personalive.options import PersonaLiveOptions
from engines.personalive.portrait import EncodedPortrait, read_portrait
from engines.personalive.session import PersonaLiveSession
from engines.personalive.settings import PersonaLiveSettings
from engines.personalive.window import DenoisingWindow
from engines.registry import load
from shared.errors import OutOfMemoryError, StudioError
from shared.media.array_types import ImageArray
from shared.runtime.arrays import to_bytes

# The ladder at test sizes: rungs of the same size have the same size here.
SIZES = {512: 128, 384: 192, 256: 128}  # the layers need a multiple of 64
SMALL = tuple(replace(rung, size=SIZES[rung.size]) for rung in quality.LADDER)
NAMES = [rung.name for rung in SMALL]


@pytest.fixture
def nets(monkeypatch: pytest.MonkeyPatch) -> PersonaLiveNetworks:
    monkeypatch.setattr(quality, "LADDER", SMALL)
    return networks()


def wanted(name: str, seed: int = 1) -> PersonaLiveOptions:
    return PersonaLiveOptions.model_validate({"quality": name, "seed": seed})


def opened(nets: PersonaLiveNetworks, name: str) -> PersonaLiveSession:
    return PersonaLiveSession(avatar(), nets, wanted(name))


def test_the_ladder_goes_down_one_rung_at_a_time_to_its_end(nets: PersonaLiveNetworks) -> None:
    one = opened(nets, "auto")
    assert one.adjusts and one.quality == "full"
    about = options_schema(PersonaLiveOptions())["properties"]["quality"]
    assert about["enum"] == ["auto", *NAMES] and set(about["titles"]) == set(about["enum"])
    assert about["titles"]["full"] == "512 pixels, full decoder" and about["default"] == "auto"
    for name in NAMES[1:]:
        assert one.lower() == f"PersonaLive continues with {quality.rung(name).title}."
        assert one.quality == name
    assert one.lower() is None and one.quality == NAMES[-1]
    assert NAMES == ["full", "taesd", "384", "256", "half"]


def test_without_the_small_decoder_its_rung_is_passed_over_and_refused(nets: PersonaLiveNetworks) -> None:
    one = opened(replace(nets, small_vae=None), "auto")
    with pytest.raises(StudioError, match="studio weights pull personalive --all"):
        one.apply(wanted("taesd"))
    assert one.quality == "full" and one.adjusts, "nothing changed"
    one.lower()
    assert one.quality == "384"


@pytest.mark.parametrize(("before", "after"), [("full", "taesd"), ("half", "256")])
def test_where_the_size_stays_no_frame_is_lost(nets: PersonaLiveNetworks, before: str, after: str) -> None:
    one, taken, start, made = opened(nets, before), [], 0, []
    plain = opened(nets, before)
    for name in (before, after, before):  # twice in the middle of a chunk
        kept = {key: array for key, array in one.save().items() if key not in ("rung", "small_decoder")}
        assert one.apply(wanted(name))
        assert one.quality == name
        assert to_bytes(one.save() | kept) == to_bytes(one.save()), "the window is kept"
        every = quality.rung(name).every
        frames = list(driver(9 * every, start))
        start += len(frames)
        made += run(one, frames)
        taken += [frame.pts for i, frame in enumerate(frames, start - len(frames)) if (i + 1) % every == 0]
    made += one.flush()
    assert [frame.pts for frame in made] == taken
    if after == "taesd":
        whole = run(plain, list(driver(start))) + plain.flush()
        equal = [np.array_equal(a.pixels, b.pixels) for a, b in zip(made, whole, strict=True)]
        assert equal == [False] * 4 + [True] * (start - 4), "only what left meanwhile was decoded otherwise"


def test_another_size_starts_from_empty(nets: PersonaLiveNetworks) -> None:
    one = opened(nets, "full")
    run(one, list(driver(6, seed=2)))
    one.apply(wanted("384"))
    fresh, frames = opened(nets, "384"), list(driver(6))
    assert run(one, frames) == run(fresh, frames) and state(one) == state(fresh)


def test_what_is_chosen_stays(nets: PersonaLiveNetworks) -> None:
    one = opened(nets, "auto")
    assert one.apply(wanted("taesd"))
    assert (one.quality, one.adjusts) == ("taesd", False)
    assert one.apply(wanted("auto"))
    assert (one.quality, one.adjusts) == ("full", True), "the engine's own choice begins at the top"
    assert not opened(nets, "taesd").adjusts


def test_another_seed_is_another_session(nets: PersonaLiveNetworks) -> None:
    one = opened(nets, "auto")
    assert not one.apply(wanted("256", seed=2))
    assert one.quality == "full" and one.adjusts, "it goes on as it was until it is opened again"


def test_memory_that_runs_out_is_one_sentence_and_half_a_call_is_none(
    nets: PersonaLiveNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened(nets, "full")
    frames = list(driver(8))
    run(one, frames[:7])
    with monkeypatch.context() as broken:

        def fail(self: DenoisingWindow, *_: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        broken.setattr(DenoisingWindow, "next_chunk", fail)
        with pytest.raises(OutOfMemoryError, match="too little memory for PersonaLive at full"):
            run(one, frames[7:8])
    one.lower()
    fresh = opened(nets, "taesd")
    assert run(one, frames[:5]) == run(fresh, frames[:5]) and state(one) == state(fresh), "as if it had just begun"


def test_from_a_rung_that_does_not_fit_it_goes_down_further(
    nets: PersonaLiveNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, read = opened(nets, "taesd"), read_portrait

    def fail(networks: PersonaLiveNetworks, frame: ImageArray, size: int) -> EncodedPortrait:
        if size == SIZES[384]:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        made: EncodedPortrait = read(networks, frame, size)
        return made

    monkeypatch.setattr(session, "read_portrait", fail)
    with pytest.raises(OutOfMemoryError):
        one.apply(wanted("384"))
    one.apply(wanted("taesd"))
    with pytest.raises(OutOfMemoryError):
        one.lower()
    assert one.lower() is not None and one.quality == "256"
    run(one, list(driver(1)))
    assert one.save()["held"].shape == (SIZES[256], SIZES[256], 3)


def test_a_segment_goes_on_at_the_quality_it_was_left_at(nets: PersonaLiveNetworks) -> None:
    one, other = opened(nets, "384"), opened(nets, "taesd")
    run(one, list(driver(5)))
    other.restore(one.save())
    assert other.quality == "384" and state(one) == state(other)
    with pytest.raises(StudioError, match="small decoder"):  # its frames would differ
        opened(replace(nets, small_vae=None), "384").restore(one.save())


def test_settings_say_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_PERSONALIVE_QUALITY", "384")
    assert quality.rung(PersonaLiveSettings.load().quality).size == 384
    engine = load("personalive")
    assert engine.options({"seed": "7"}) == PersonaLiveOptions(quality="384", seed=7)
    assert options_schema(engine.options() or PersonaLiveOptions())["properties"]["quality"]["default"] == "384"
    monkeypatch.setenv("STUDIO_PERSONALIVE_QUALITY", "best")
    with pytest.raises(StudioError, match=r"personalive\.quality'"):
        PersonaLiveSettings.load()
