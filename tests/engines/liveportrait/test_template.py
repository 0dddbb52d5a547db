"""Motion templates: ours are saved and read again, published ones are read, and nothing in a file is ever run."""

import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.liveportrait.motion.template import parse_template
from shared.errors import StudioError
from tests.support.files.evil_pickle import Evil

FRAMES = 3


def published(old: bool = False, ratios: bool = True, frames: int = FRAMES) -> dict[str, Any]:
    """Return what LivePortrait writes; `old`: with its earlier names."""
    chance = np.random.default_rng(5)

    def some(*shape: int) -> NDArray[Any]:
        return chance.normal(0, 0.1, shape).astype(np.float32)

    motion = [
        {"scale": 1 + some(1, 1), "R_d" if old else "R": some(1, 3, 3), "exp": some(1, 21, 3), "t": some(1, 3)}
        for _ in range(frames)
    ]
    held: dict[str, Any] = {"n_frames": frames, "output_fps": 25, "motion": motion}
    if ratios:
        held["c_d_eyes_lst" if old else "c_eyes_lst"] = [some(1, 2) for _ in range(frames)]
        held["c_d_lip_lst" if old else "c_lip_lst"] = [some(1, 1) for _ in range(frames)]
    return held


@pytest.mark.parametrize("old", (False, True))
@pytest.mark.parametrize("ratios", (True, False), ids=("with openings", "without, which crash the original"))
def test_published_templates_are_read(old: bool, ratios: bool, tmp_path: Path) -> None:
    held = published(old, ratios)
    (tmp_path / "t.pkl").write_bytes(pickle.dumps(held))
    template = parse_template(tmp_path / "t.pkl")
    assert len(template.motions) == FRAMES and template.fps == 25
    assert np.array_equal(template.motions[1].rotation, held["motion"][1]["R_d" if old else "R"][0])
    assert np.array_equal(template.motions[2].exp, held["motion"][2]["exp"][0])
    assert (template.ratios is not None) == ratios
    if template.ratios is not None:
        assert np.array_equal(template.ratios[0].eyes, held["c_d_eyes_lst" if old else "c_eyes_lst"][0][0])


def test_ours_come_back_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "t.pkl").write_bytes(pickle.dumps(published()))
    first = parse_template(tmp_path / "t.pkl")
    first.save(tmp_path / "t.npz")
    again = parse_template(tmp_path / "t.npz")
    assert again.fps == first.fps and again.ratios is not None and first.ratios is not None
    for a, b in zip(first.motions, again.motions, strict=True):
        assert all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("scale", "rotation", "exp", "t"))
    assert all(np.array_equal(a.lips, b.lips) for a, b in zip(first.ratios, again.ratios, strict=True))


@pytest.mark.parametrize(
    "content",
    (
        pickle.dumps(Evil()),
        pickle.dumps({"motion": [Evil()]}),
        pickle.dumps({"motion": np.array([Evil()], object)}),
        pickle.dumps(published())[:200],
        pickle.dumps({"motion": []}),
        pickle.dumps({**published(), "motion": [{"scale": np.full((1, 1), np.nan)}] * FRAMES}),
        b"",
        b"PK\x03\x04 nothing",
        b"not a template at all",
    ),
)
def test_what_is_not_a_template_is_one_sentence_and_nothing_runs(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.pkl"
    path.write_bytes(content)
    with pytest.raises(StudioError, match=r"bad\.pkl is not a motion template"):
        parse_template(path)
    assert not (tmp_path / "run-by-a-template").exists()
    with pytest.raises(StudioError, match="cannot be read"):
        parse_template(tmp_path / "absent.pkl")


class HeldClaim:
    """An object whose pickle claims a large array without data."""

    def __reduce__(self) -> tuple[Any, ...]:
        return NDArray[Any], ((2**24,),)


def bomb(path: Path) -> int:
    """Write a small file that unpacks to a large one; return the bytes that reading it may take."""
    np.savez_compressed(path, version=1, fps=25.0, scale=np.zeros(70 * 2**20, np.float32))
    return 2**24


def claim(path: Path) -> int:
    path.write_bytes(pickle.dumps({"motion": [published()["motion"][0] | {"exp": HeldClaim()}]}))
    return 2**27 + 2**24  # the claimed array, which touches no memory, but no copy of it


@pytest.mark.parametrize("make", (bomb, claim))
def test_what_a_file_claims_to_hold_is_not_unpacked(make: Any, tmp_path: Path) -> None:
    most = make(path := tmp_path / "bad.npz")
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    with pytest.raises(StudioError, match=r"bad\.npz is not a motion template"):
        parse_template(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most
