"""StableAvatar with tiny networks: a clip engine's rules, units in any order, and sentences for missing files."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from safetensors.torch import load_file  # noqa: E402

from engines.stableavatar.engine import StableAvatarEngine  # noqa: E402
from engines.stableavatar.estimate import disk_needed, memory_needed, too_large, work_of  # noqa: E402
from engines.stableavatar.layout import SPAN, fixed_layout  # noqa: E402
from engines.stableavatar.settings import StableAvatarSettings  # noqa: E402
from engines.stableavatar.units import declared, window_unit  # noqa: E402
from engines.stableavatar.weights import CONFIG, OBLONG, SQUARE, TEXT, TRAINED, Model, read_model  # noqa: E402
from persona_studio.engine.testing import EngineConformance  # noqa: E402
from services.renderer.job.cost import JobCost, cost_lines  # noqa: E402
from shared.errors import StudioError  # noqa: E402
from tests.support.engines.stableavatar_material import Cut, Units, avatar, clip_of, tiny_weights  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def weights() -> Iterator[Path]:
    with tiny_weights() as folder:
        yield folder


class TestStableAvatar(EngineConformance):
    engine = StableAvatarEngine
    avatar = avatar


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the hash of the frames of an undisturbed run by one worker."""
    folder = tmp_path_factory.mktemp("whole")
    clip, engine = clip_of(folder, 30), StableAvatarEngine()
    units = engine.units(clip)
    work = Units(clip, folder)
    found = work.all(units, engine)
    assert engine._job.loaded.loads == 1, "a worker loads the model once a job"
    return found


def test_frames_are_the_same_with_units_killed_and_in_another_order(whole: str, tmp_path: Path) -> None:
    """A new worker does each unit, the last windows first, after another worker has died in the middle of a window."""
    clip = clip_of(tmp_path, 30)
    todo = {unit.name: unit for unit in StableAvatarEngine().units(clip)}
    assert len([name for name in todo if name.startswith("denoise")]) == 2 * 3
    work, done = Units(clip, tmp_path), set[str]()
    while todo:
        ready = [unit for unit in todo.values() if done.issuperset(unit.needs)]
        unit = ready[-1]
        if unit.name.startswith("denoise"):
            with pytest.raises(Cut):
                work.do(unit, StableAvatarEngine(), cut_after=2)
        work.do(unit, StableAvatarEngine())
        done.add(unit.name)
        del todo[unit.name]
    assert work.frames() == whole == f"30 frames {whole.split()[-1]}"


def test_another_seed_is_another_clip(whole: str, tmp_path: Path) -> None:
    clip, engine = clip_of(tmp_path, 30, seed=43), StableAvatarEngine()
    assert Units(clip, tmp_path).all(engine.units(clip), engine) != whole


def test_a_lora_changes_the_clip(whole: str, weights: Path, tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(1)
    layer = "lora_transformer__blocks_0_self_attn_v"
    halves = {f"{layer}.lora_{half}.weight": torch.randn(*shape, generator=rng) for half, shape in HALVES.items()}
    torch.save(halves, weights / Path(SQUARE).parent / "mine.pt")
    engine, frames = StableAvatarEngine(), {}
    for strength in (0.0, 1.0):
        clip = clip_of(tmp_path, 30, lora="mine.pt", lora_strength=strength)
        frames[strength] = Units(clip, tmp_path / str(strength)).all(engine.units(clip), engine)
    assert frames[0.0] == whole != frames[1.0]
    with pytest.raises(StudioError, match=r"other\.pt is not in .*StableAvatar-1\.3B; put it there"):
        engine.units(clip_of(tmp_path, 30, checkpoint="other.pt"))


HALVES = {"down": (4, 48), "up": (48, 4)}


def test_like_the_original(tmp_path: Path) -> None:
    """The mode has up to three frames fewer, and without windows the clip is grey."""
    engine = StableAvatarEngine()
    clip = clip_of(tmp_path, 30, mode="parity")
    assert Units(clip, tmp_path / "long").all(engine.units(clip), engine).startswith("29 frames")
    clip = clip_of(tmp_path, 10, mode="parity")
    assert [unit.name for unit in engine.units(clip)] == ["listen", "clip"]
    assert Units(clip, tmp_path / "short").all(engine.units(clip), engine).startswith("9 frames")


def test_with_little_memory_predictions_come_one_by_one_and_are_the_same(tmp_path: Path) -> None:
    engine, clip, latents = StableAvatarEngine(), clip_of(tmp_path, 10), []
    for small in (False, True):
        work = Units(clip, tmp_path / str(small), low_memory=small)
        for unit in engine.units(clip)[:-1]:
            work.do(unit, engine)
        latents.append(load_file(work.folder / window_unit(1, 0) / "latents.safetensors")["latents"])
    assert torch.allclose(*latents, atol=1e-4) and float(latents[0].std()) > 0.1


def test_narrow_precisions_are_near_and_an_overflow_is_a_sentence(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compared is the first window after both steps. float16 overflows above 65504, bfloat16 does not."""
    wide = torch.load(weights / SQUARE, weights_only=True)
    torch.save(wide | {"head.head.bias": wide["head.head.bias"] + 1e5}, weights / Path(SQUARE).parent / "wide.pt")
    made = {}
    for precision in ("fp32", "bf16", "fp16"):
        monkeypatch.setenv("STUDIO_STABLEAVATAR_PRECISION", precision)
        engine, clip = StableAvatarEngine(), clip_of(tmp_path, 10)
        work, units = Units(clip, tmp_path / precision), engine.units(clip)
        for unit in units[:-1]:
            work.do(unit, engine)
        made[precision] = load_file(work.folder / window_unit(1, 0) / "latents.safetensors")["latents"]
        clip = clip_of(tmp_path, 10, checkpoint="wide.pt")
        work.clip, further = clip, engine.units(clip)[2]
        shutil.rmtree(work.folder / further.name)
        if precision == "fp16":
            with pytest.raises(
                StudioError, match=r"^StableAvatar's values overflowed in float16; set .*PRECISION=fp32"
            ):
                work.do(further, engine)
        else:
            work.do(further, engine)
    apart = {name: float((each - made["fp32"]).abs().mean()) for name, each in made.items()}
    assert 0 < apart["fp16"] < apart["bf16"] < 0.05 * float(made["fp32"].abs().mean()), apart


def test_predictions_are_reused_and_a_preview_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "engines.stableavatar.loop.reuse.changes", lambda transformer, levels: [1e-3] * (len(levels) - 2)
    )
    engine = StableAvatarEngine()
    frames, previews = {}, {}
    for reuse in (0.0, 1.0):
        clip = clip_of(tmp_path, 10, steps=8, reuse=reuse)
        work = Units(clip, tmp_path / str(reuse))
        frames[reuse] = work.all(engine.units(clip), engine)
        previews[reuse] = len(work.previews)
    made = [load_file(tmp_path / f"1.0/denoise-{step:03d}-0000/latents.safetensors")["velocity"] for step in range(8)]
    assert [bool(torch.equal(a, b)) for a, b in pairwise(made)] == [False] * 4 + [True] * 2 + [False]
    assert frames[0.0] != frames[1.0] and previews == {0.0: 1, 1.0: 1}


def test_a_window_needs_those_beside_it_alone(tmp_path: Path) -> None:
    units = {unit.name: unit for unit in StableAvatarEngine().units(clip_of(tmp_path, 400))}
    needs = units[window_unit(1, 10)].needs
    assert needs == ("encode", "listen", *(window_unit(0, number) for number in (9, 10, 11)))
    assert max(len(unit.needs) for name, unit in units.items() if name.startswith("denoise")) <= 7


def test_a_missing_or_damaged_file_is_one_sentence(weights: Path, tmp_path: Path) -> None:
    clip = clip_of(tmp_path, 10)
    for name, words in ((TEXT, "is truncated"), (CONFIG, "not a JSON"), (SQUARE, "is missing")):
        content = (weights / name).read_bytes()
        if name == SQUARE:
            (weights / name).unlink()
        else:
            (weights / name).write_bytes(content[: len(content) // 2])
        try:
            problem = StableAvatarEngine().probe()
            assert problem is not None and Path(name).name in problem.reason, problem
            assert words.split()[-1] in problem.reason and problem.command == "studio weights pull stableavatar"
        finally:
            (weights / name).write_bytes(content)
    (weights / OBLONG).rename(weights / "elsewhere")
    try:
        with pytest.raises(StudioError, match=r"480x832 needs .*studio weights pull stableavatar --all"):
            StableAvatarEngine().units(clip_of(tmp_path, 10, size="480x832"))
    finally:
        (weights / "elsewhere").rename(weights / OBLONG)
    assert StableAvatarEngine().units(clip)


def test_the_estimate_is_that_of_the_networks_at_full_size() -> None:
    """It is 428 and 855 TFLOP for a window and step, and 43 PFLOP for five seconds."""
    config = {"dim": 1536, "num_layers": 30, "ffn_dim": 8960}
    full = Model(Path(), TRAINED, SPAN, config)
    layout = fixed_layout(125, Fraction(25), 5)
    for size, tflop in (((512, 512), 428), ((480, 832), 855)):
        assert work_of(full, layout, size, 3).window == pytest.approx(tflop, rel=0.01)
    assert work_of(full, layout, (512, 512), 3).total(2, 50) == pytest.approx(43e3, rel=0.02)
    encode, *_ = declared(layout, 50, work_of(full, layout, (512, 512), 3))
    assert encode.weight == pytest.approx(1394, rel=0.01), "reading 14 GB takes its time too"
    minute = fixed_layout(1500, Fraction(25), 5)
    assert disk_needed(minute, (512, 512), 50, False) == pytest.approx(6.6e9, rel=0.01)
    need = [memory_needed(full, (512, 512), layout, 2, offload, 3) for offload in ("none", "encoders", "blocks")]
    assert [round(each / 1e9, 1) for each in need] == [14.0, 7.4, 3.8]


def test_what_a_job_would_cost_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, engine = clip_of(tmp_path, 30), StableAvatarEngine()
    cost = JobCost(30, len(engine.units(clip)), engine.estimate(clip))
    assert cost_lines(cost)[:2] == [
        "30 frames, 9 units",
        "time: 0.0 TFLOP; unknown until a job on this machine has measured it",
    ]
    monkeypatch.setattr("engines.stableavatar.engine.measured_rates", lambda: {"a card": 1e-6})
    told = cost_lines(replace(cost, estimate=engine.estimate(clip)))
    assert told[1].startswith("time: about ") and "measured here" in told[1]
    assert "GB" in told[2] and "GB" in told[3] and len(told) == 4


@pytest.mark.parametrize(
    ("shape", "size"), [((1920, 1080), (832, 480)), ((720, 1280), (480, 832)), ((500, 512), (512, 512))]
)
def test_the_nearest_shape_is_computed(shape: tuple[int, int], size: tuple[int, int]) -> None:
    assert replace(read_model(), trained=TRAINED).size("auto", shape) == size


def test_a_card_that_is_too_small_is_refused_before_the_job() -> None:
    """The refusal is by the chosen mode, and names a mode that would fit."""
    config = {"dim": 1536, "ffn_dim": 8960, "num_heads": 12, "num_layers": 30}
    model = Model(Path(), TRAINED, SPAN, config)
    layout, settings = fixed_layout(1500, Fraction(25), 5), StableAvatarSettings()

    def refusal(cards: list[float], size: tuple[int, int] = (512, 512), **chosen: str) -> str:
        sized = settings.model_copy(update=chosen)
        return too_large(model, size, layout, 3, sized, [int(each * 1e9) for each in cards])

    assert refusal([]) == refusal([24]) == refusal([6, 16]) == refusal([8], device="cpu") == ""
    assert refusal([8]) == (
        "StableAvatar needs about 14.0 GB of the GPU's memory for this clip, and the largest card here has 8.0 GB; set"
        " STUDIO_STABLEAVATAR_OFFLOAD=encoders, which needs 7.4 GB."
    )
    assert "OFFLOAD=blocks, which needs 3.8 GB" in refusal([6])
    assert refusal([6], offload="blocks") == ""
    assert refusal([3]).endswith("has 3.0 GB; choose a smaller size or another machine.")


def test_xformers_is_refused_with_the_reason_when_the_model_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIO_STABLEAVATAR_ACCELERATION", "xformers")
    clip, engine = clip_of(tmp_path, 9), StableAvatarEngine()
    work, units = Units(clip, tmp_path), engine.units(clip)
    for unit in units[:2]:
        work.do(unit, engine)
    with pytest.raises(
        StudioError, match=r"^xFormers runs only on a GPU, .*; set STUDIO_STABLEAVATAR_ACCELERATION=none\.$"
    ):
        work.do(units[2], engine)
