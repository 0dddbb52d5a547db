"""xFormers replaces PyTorch's attention only if it loads and computes the same; otherwise the true reason is given."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from engines import xformers_attention as tried  # noqa: E402

CPU, GPU = torch.device("cpu"), torch.device("cuda")
# The error of version 0.0.35 if none of its kernels fits.
NONE_FITS = """No operator found for `memory_efficient_attention_forward` with inputs:
     query       : shape=(1, 16, 2, 32) (torch.float16)
     p           : 0.0
`fa2F@2.5.7-pt` is not supported because:
    requires device with capability >= (8, 0) but your GPU has capability (7, 0) (too old)
`cutlassF-pt` is not supported because:
    xFormers wasn't build with CUDA support
    requires device with capability >= (8, 0) but your GPU has capability (7, 0) (too old)
"""


def raising(error: Exception) -> tried.Attend:
    def attend(*given: Any) -> Any:
        raise error

    return attend


def test_one_that_computes_the_same_is_taken() -> None:
    assert tried.attention_problem(F.scaled_dot_product_attention, CPU) == ""


@pytest.mark.parametrize(
    "attend, words",
    [
        (lambda q, k, v: F.scaled_dot_product_attention(q, k, v) + 0.02,
            "differs from PyTorch's own attention by 0.0"),
        (lambda q, k, v: v[:, :1], "differs from PyTorch's own attention by inf"),
        (lambda q, k, v: v * torch.nan, "differs from PyTorch's own attention by nan"),
        (raising(RuntimeError("no kernel image is available\nfor execution")),
            "(RuntimeError: no kernel image is available for execution)"),
        (raising(NotImplementedError(NONE_FITS)), "(requires device with capability >= (8, 0) but your GPU has "
                                                  "capability (7, 0) (too old), xFormers wasn't build with CUDA "
                                                  "support)"),
        (raising(NotImplementedError("nothing")), "(NotImplementedError: nothing)"),
    ],
)  # fmt: skip
def test_one_that_does_not_is_refused_with_the_reason(attend: tried.Attend, words: str) -> None:
    problem = tried.attention_problem(attend, CPU)
    assert words in problem and "\n" not in problem


def test_it_is_tried_with_an_engines_heads_in_its_precision() -> None:
    """StableAvatar's heads have 128 channels, in bfloat16; a failure there is the reason, even if others work."""
    given = list[Any]()

    def attend(*each: Any) -> Any:
        given.extend(each)
        if each[0].dtype is torch.bfloat16 and each[0].shape[-1] > 128:
            raise NotImplementedError("no heads of more than 128")
        return F.scaled_dot_product_attention(*each)

    assert tried.attention_problem(attend, CPU, torch.bfloat16, (1, 2, 96, 128)) == ""
    assert {each.dtype for each in given} == {torch.bfloat16} and given[0].shape == (1, 2, 96, 128)
    assert "no heads of more than 128" in tried.attention_problem(attend, CPU, torch.bfloat16, (1, 2, 96, 192))
    assert tried.attention_problem(lambda q, k, v: F.scaled_dot_product_attention(q, k, v) + 0.04, CPU, torch.bfloat16)


def test_without_a_gpu_and_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tried.xformers_problem(CPU) == "runs only on a GPU, and PyTorch finds none here"
    monkeypatch.setattr(tried, "find_spec", lambda name: None)
    assert tried.xformers_problem(GPU) == "is not installed (the extra `xformers`)"


@pytest.mark.skipif(not shutil.which("cc"), reason="a library is compiled")
def test_the_runtime_of_its_package_is_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The library is in an installed package, and not on the machine itself."""
    monkeypatch.setattr(tried, "RUNTIME", "libstudio-test.so.12")
    monkeypatch.setattr(tried, "RUNTIME_PACKAGE", "studio-test-runtime")
    said = tried.runtime_problem()
    assert said.startswith("lacks libstudio-test.so.12 (") and said.endswith("install studio-test-runtime")
    info = tmp_path / "studio_test_runtime-12.9.79.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: studio-test-runtime\nVersion: 12.9.79\n", encoding="utf-8")
    (info / "RECORD").write_text("lib/libstudio-test.so.12,,\n", encoding="utf-8")
    (tmp_path / "lib").mkdir()
    (tmp_path / "library.c").write_text("int here(void) { return 12; }", encoding="utf-8")
    library = tmp_path / "lib" / tried.RUNTIME
    command = ["cc", "-shared", f"-Wl,-soname,{tried.RUNTIME}", "-o", str(library), str(tmp_path / "library.c")]
    subprocess.run(command, check=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert tried.runtime_problem() == ""
