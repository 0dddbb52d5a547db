"""Loading checkpoints: wrappers removed, code refused and never run, spectral norm folded, conversions cached."""

import os
import pickle
import signal
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from shared.errors import StudioError
from shared.weights.checkpoint import check_state, fold_spectral_norm, load_state
from shared.weights.checkpoint_cache import converted

torch = pytest.importorskip("torch", reason="torch is not installed")
save_file: Any = pytest.importorskip("safetensors.torch").save_file


@pytest.fixture
def state() -> dict[str, Any]:
    drawn = torch.Generator().manual_seed(1)
    return {f"layer.{n}.weight": torch.randn(3, 4, generator=drawn) for n in range(3)}


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("name", ["a.pth", "a.pt", "a.bin", "a.safetensors"])
def test_a_plain_state_loads_as_it_is(tmp_path: Path, state: dict[str, Any], name: str) -> None:
    path = tmp_path / name
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    assert same(load_state(path), state)


def test_the_format_of_old_torch_loads_too(tmp_path: Path, state: dict[str, Any]) -> None:
    torch.save(state, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    assert same(load_state(tmp_path / "old.bin"), state)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"state_dict": s, "epoch": 40, "lr": 1e-4},
        lambda s: {"epoch": 40, "state_dict": {"net_g": s, "net_d": {"x": torch.zeros(1)}}, "optimizer": {"state": {}}},
        lambda s: {f"module.{name}": each for name, each in s.items()},
        lambda s: {"model": {f"module.{name}": each for name, each in s.items()}},
        lambda s: {**s, "note": "by hand", "step": 7},
    ],
)
def test_wrappers_and_prefixes_are_taken_off(tmp_path: Path, state: dict[str, Any], wrap: Any) -> None:
    torch.save(wrap(state), tmp_path / "a.pth")
    assert same(load_state(tmp_path / "a.pth"), state)


def test_one_network_of_several_is_taken_by_its_key(tmp_path: Path, state: dict[str, Any]) -> None:
    held = {"retarget_eye": {f"module.{n}": t for n, t in state.items()}, "retarget_mouth": {}, "unknown": [1, 2]}
    torch.save(held, tmp_path / "a.pth")
    assert same(load_state(tmp_path / "a.pth", "retarget_eye"), state)
    with pytest.raises(StudioError, match="has no network 'retarget_shoulder' in it"):
        load_state(tmp_path / "a.pth", "retarget_shoulder")


def test_a_module_in_the_middle_of_a_name_stays(tmp_path: Path) -> None:
    torch.save({"a.module.weight": torch.zeros(1), "module.b": torch.ones(1)}, tmp_path / "a.pth")
    assert set(load_state(tmp_path / "a.pth")) == {"a.module.weight", "module.b"}


class Hostile:
    """An object whose pickle creates a folder when it is loaded by a loader that runs code."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("new", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_not_run(tmp_path: Path, new: bool) -> None:
    trace = tmp_path / "ran"
    content = {"state_dict": {"a": torch.zeros(2)}, "x": Hostile(trace)}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=new)
    with pytest.raises(StudioError, match="could run code; it was refused"):
        load_state(tmp_path / "a.pth")
    assert not trace.exists()
    torch.load(tmp_path / "a.pth", weights_only=False)
    assert trace.exists(), "the file would have run"


def test_a_bare_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Hostile(trace)))
    with pytest.raises(StudioError):
        load_state(tmp_path / "a.pkl")
    assert not trace.exists()


def test_files_that_are_no_checkpoints_are_one_sentence(tmp_path: Path, state: dict[str, Any]) -> None:
    torch.save(state, tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    save_file(state, tmp_path / "whole.safetensors")
    safe = (tmp_path / "whole.safetensors").read_bytes()
    with zipfile.ZipFile(tmp_path / "other.pth", "w") as archive:
        archive.writestr("readme", "an archive of something else")
    for name, content in {
        "truncated.pth": whole[:-100],
        "text.pth": b"<html>",
        "pointer.pth": b"version https://git-lfs.github.com/spec/v1\n",
        "header.safetensors": (1 << 60).to_bytes(8, "little") + safe[8:],
        "truncated.safetensors": safe[:-10],
        "cut.bin": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M",
        "other.pth": (tmp_path / "other.pth").read_bytes(),
        "empty.pth": b"",
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(StudioError) as told:
            load_state(path)
        assert str(path) in str(told.value) and "\n" not in str(told.value), name
    with pytest.raises(StudioError, match="cannot be read"):
        load_state(tmp_path / "absent.pth")
    torch.save({"only": "words"}, tmp_path / "none.pth")
    with pytest.raises(StudioError, match="holds no tensors"):
        load_state(tmp_path / "none.pth")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(StudioError, match="holds no tensors"):
        load_state(tmp_path / "list.pth")


def test_what_does_not_fit_a_network_is_one_sentence(state: dict[str, Any]) -> None:
    shapes = {name: tuple(each.shape) for name, each in state.items()}
    assert same(check_state(state, shapes, "It"), state)
    with pytest.raises(StudioError, match=r"^F\.pth does not fit the network: it lacks a, b, c and 2 more; does it"):
        check_state(state, shapes | dict.fromkeys("abcde", (1,)), "F.pth")
    with pytest.raises(StudioError, match=r"it lacks a, and has layer\.0\.weight too many"):
        check_state(state, {**dict(list(shapes.items())[1:]), "a": ()}, "F.pth")
    with pytest.raises(StudioError, match=r"layer\.1\.weight is 3x4 instead of 4x4; does it"):
        check_state(state, shapes | {"layer.1.weight": (4, 4)}, "F.pth")
    assert set(check_state(state, {"layer.1.weight": (3, 4), "pe": (1,)}, "It", spare={"pe"}, strict=False)) == {
        "layer.1.weight"
    }


@pytest.mark.parametrize("layer", ["linear", "conv"])
def test_spectral_norm_is_folded_as_torch_itself_applies_it(layer: str) -> None:
    torch.manual_seed(2)
    net = torch.nn.Linear(6, 5) if layer == "linear" else torch.nn.Conv2d(3, 5, 3)
    normed = torch.nn.utils.spectral_norm(net).eval()
    normed.weight_u.copy_(torch.nn.functional.normalize(torch.randn(5), dim=0))  # far from the largest singular value
    x = torch.randn(2, 6) if layer == "linear" else torch.randn(2, 3, 8, 8)
    expected = normed(x)
    state = {f"up.{name}": each for name, each in normed.state_dict().items()}
    folded = fold_spectral_norm(state)
    assert set(folded) == {"up.weight", "up.bias"}
    plain = torch.nn.Linear(6, 5) if layer == "linear" else torch.nn.Conv2d(3, 5, 3)
    plain.load_state_dict({name.removeprefix("up."): each for name, each in folded.items()})
    assert torch.allclose(plain(x), expected, atol=1e-6, rtol=1e-6)


def test_spectral_norm_that_is_not_whole_is_one_sentence() -> None:
    whole = {"a.weight_orig": torch.ones(2, 3), "a.weight_u": torch.ones(2), "a.weight_v": torch.ones(3)}
    assert torch.allclose(fold_spectral_norm(whole)["a.weight"], torch.full((2, 3), 1 / 6))
    with pytest.raises(StudioError, match=r"without a\.weight_u and"):
        fold_spectral_norm({"a.weight_orig": torch.ones(2, 3)})
    with pytest.raises(StudioError, match="do not fit"):
        fold_spectral_norm(whole | {"a.weight_u": torch.ones(3)})
    with pytest.raises(StudioError, match=r"spectral norm is 0\.0"):
        fold_spectral_norm(whole | {"a.weight_u": torch.zeros(2)})


def test_a_conversion_is_made_once_for_each_state_of_its_files(
    tmp_path: Path, state: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSONA_STUDIO_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "a.pth"
    torch.save(state, source)
    made: list[int] = []

    def make() -> dict[str, Any]:
        made.append(1)
        view = torch.arange(10.0)
        return {name: each.t() for name, each in load_state(source).items()} | {"view": view[2:5], "alias": view[2:5]}

    first = converted("test-net-fp32", [source], make)
    assert same(converted("test-net-fp32", [source], make), first) and len(made) == 1
    (kept,) = (tmp_path / "cache" / "weights").iterdir()
    assert kept.stat().st_size < 2000, "a view is kept as what it shows"
    torch.save(state | {"more": torch.zeros(1)}, source)
    assert "more" in converted("test-net-fp32", [source], make) and len(made) == 2
    assert len(list((tmp_path / "cache" / "weights").iterdir())) == 1, "the old one is gone"
    converted("test-net-fp32", [source], make, version=2)
    assert len(made) == 3
    (kept,) = (tmp_path / "cache" / "weights").iterdir()
    kept.write_bytes(kept.read_bytes()[:-5])
    assert "more" in converted("test-net-fp32", [source], make, version=2) and len(made) == 4
    os.utime(source, (1, 1))
    converted("test-net-fp32", [source], make, version=2)
    assert len(made) == 5, "a file of another time may be another one in the middle"
    with pytest.raises(StudioError, match="cannot be read"):
        converted("test-net-fp32", [tmp_path / "absent"], make)


def test_a_cache_that_cannot_be_written_costs_only_the_time(
    tmp_path: Path, state: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("PERSONA_STUDIO_CACHE", str(tmp_path / "cache"))
    torch.save(state, tmp_path / "a.pth")
    assert same(converted("x", [tmp_path / "a.pth"], lambda: state), state)


@pytest.mark.apart
def test_a_conversion_that_was_killed_leaves_nothing_for_long(
    tmp_path: Path, state: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSONA_STUDIO_CACHE", str(tmp_path / "cache"))
    torch.save(state, tmp_path / "a.pth")

    def half(_state: object, path: Path) -> None:
        path.write_bytes(b"half of it")
        os.kill(os.getpid(), signal.SIGKILL)

    if (child := os.fork()) == 0:
        monkeypatch.setattr("safetensors.torch.save_file", half)
        converted("test", [tmp_path / "a.pth"], lambda: state)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    folder = tmp_path / "cache" / "weights"
    assert [path.read_bytes() for path in folder.iterdir()] == [b"half of it"], (
        "nothing under the name that is looked for"
    )
    assert same(converted("test", [tmp_path / "a.pth"], lambda: state), state)
    assert [path.suffix for path in folder.iterdir()] == [".safetensors"]


@pytest.mark.apart
def test_weights_are_known_without_torch() -> None:
    import subprocess

    modules = "shared.weights.manifest, shared.weights.checkpoint, shared.weights.checkpoint_cache"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
