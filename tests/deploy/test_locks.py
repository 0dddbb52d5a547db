"""The locks agree: users get the versions that are tested."""

import re

import pytest

from shared.weights.manifest import ROOT

PIN = re.compile(r"^([a-z0-9-]+)==(\S+) ", re.MULTILINE)


def pins(name: str) -> set[tuple[str, str]]:
    return set(PIN.findall((ROOT / f"requirements{name}.lock").read_text(encoding="utf-8")))


def left_out() -> set[str]:
    lines = (ROOT / "deploy" / "torch-on-a-cpu.txt").read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


GPU_ALONE = {"xformers", "nvidia-cuda-runtime-cu12"}  # the tests run without these


@pytest.mark.parametrize("name", ["", "-dev", "-torch", "-gpu"])
def test_the_tests_run_on_the_versions_that_users_get(name: str) -> None:
    differing = {row for row in pins(name) - pins("-test") if row[0] not in left_out() | GPU_ALONE}
    assert not differing, "run `make lock`"


def test_torch_stays_out_of_what_a_first_run_installs() -> None:
    for name in ("", "-dev"):
        assert not {package for package, _ in pins(name)} & {"torch", "safetensors", "diffusers", "transformers"}
    assert {"torch", "safetensors", "diffusers", "triton"} <= {package for package, _ in pins("-torch")}
    assert not {package for package, _ in pins("-test")} & (left_out() | GPU_ALONE)
    assert pins("-torch") < pins("-gpu") and {package for package, _ in pins("-gpu") - pins("-torch")} >= GPU_ALONE
