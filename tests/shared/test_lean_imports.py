"""Imports without certain packages: what is refused in which threads, and which packages no studio process loads."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.lean_imports import imports_without

SEEKER = "try:\n    import {0}.part\nexcept ImportError:\n    found = False\nelse:\n    found = True\n"


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path with the package `spare` and modules that look for it, each of which is imported once."""
    (tmp_path / "spare").mkdir()
    for name in ("__init__", "part"):
        (tmp_path / "spare" / f"{name}.py").touch()
    for name in ("first_seeker", "second_seeker"):
        (tmp_path / f"{name}.py").write_text(SEEKER.format("spare"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.usefixtures("packages")
def test_a_refused_package_is_not_found_in_the_block_and_is_found_after_it() -> None:
    with imports_without("spare", "another"):
        assert not importlib.import_module("first_seeker").found
    assert importlib.import_module("second_seeker").found


@pytest.mark.usefixtures("packages")
def test_another_thread_finds_the_package_meanwhile() -> None:
    with imports_without("spare"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(importlib.import_module, "first_seeker").result().found


@pytest.mark.usefixtures("packages")
def test_a_package_that_is_loaded_is_found() -> None:
    importlib.import_module("spare.part")
    with imports_without("spare"):
        assert importlib.import_module("first_seeker").found


@pytest.mark.usefixtures("packages")
def test_an_error_in_the_block_ends_the_refusal() -> None:
    with pytest.raises(KeyError), imports_without("spare"):
        raise KeyError
    assert importlib.import_module("first_seeker").found


@pytest.mark.apart
@pytest.mark.parametrize(
    ("code", "spared"),
    [
        ("import services.capture.service, services.generator.service, services.gateway.__main__", "rich"),
        ("from compositing.blend import warm_up; warm_up()", "rich scipy coverage yaml"),
        ("import engines.mesh.rasterizer, engines.dhlive.control.rasterizer", "scipy coverage yaml"),
    ],
)
def test_a_process_does_not_load_what_nothing_in_it_uses(code: str, spared: str) -> None:
    asked = f"{code}\nimport sys\nprint(*sorted(set({spared!r}.split()) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == ""
