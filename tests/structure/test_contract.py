"""The import contract of pyproject.toml finds each kind of wrong import, in a tree of empty modules."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOMS: list[str] = PYPROJECT["tool"]["importlinter"]["root_packages"]
CONTRACTS: list[dict[str, object]] = PYPROJECT["tool"]["importlinter"]["contracts"]
NOT_ROOMS = {"deploy", "docs", "integrations", "pretrained_weights"}

# One wrong import of each kind: the importing module, its source, and the line of the report.
WRONG = {
    "shared from below": ("shared.media.a", "import engines.api", "shared.media.a -> engines.api"),
    "a library from beside": ("engines.a", "from compositing import blend", "engines.a -> compositing.blend"),
    "publishing from beside": ("publishing.a", "import compositing", "publishing.a -> compositing"),
    "training from beside": ("training.a", "import services.local.a", "training.a -> services.local.a"),
    "the harness from below": ("services.local.b", "import harness", "services.local.b -> harness"),
    "benchmarks from below": ("harness.a", "import benchmarks", "harness.a -> benchmarks"),
    "the command from below": ("benchmarks.a", "import cli.app", "benchmarks.a -> cli.app"),
    "the interface from within": ("services.local.c", "import persona_studio", "services.local.c -> persona_studio"),
    "the interface by the command": ("cli.c", "import persona_studio", "cli.c -> persona_studio"),
    "the interface with more than engines": (
        "persona_studio.a", "import services.local.a", "persona_studio.a -> services.local.a",
    ),
    "the tests": ("cli.a", "import tests.support", "cli.a -> tests.support"),
    "inside a function": ("compositing.a", "def f() -> None:\n    import training", "compositing.a -> training"),
    "for types alone": (
        "shared.wire.a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from services.local.a import A",
        "shared.wire.a -> services.local.a",
    ),
    "another service": ("services.capture.a", "import services.gateway.api", "services.capture.a -> services.gateway"),
    "a service of tomorrow": ("services.sessions.a", "import services.local.a",
        "services.sessions.a -> services.local.a"),
    "a circle of modules": ("engines.mesh.a", "import engines.mesh.b", "No cycles are allowed in engines.mesh."),
    "the way back": ("engines.mesh.b", "import engines.mesh.a", ".b -> .a (1 import)"),
    "a circle of folders": ("shared.runtime.a", "import shared.config.a", "No cycles are allowed in shared."),
    "the way back by another module": ("shared.config.b", "import shared.runtime.b", ".runtime -> .config (1 import)"),
}  # fmt: skip
RIGHT = {
    "cli.b": "import benchmarks.a, services.local.a, shared.wire.b",
    "services.gateway.a": "import engines.api, compositing.blend, publishing, shared.wire.b",
    "engines.api": "import shared.wire.b",
    "persona_studio.b": "import engines.api, shared.wire.b",
    "tests.support": "import cli.b, harness",
}


def lint(tree: Path, modules: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Check a tree of the rooms, with these modules by full name, against the project's own contract."""
    imported = {"engines.api", "compositing.blend", "services.gateway.api", "services.local.a", "shared.wire.b"}
    imported |= {"tests.support", "cli.app", "shared.config.a", "shared.runtime.b"}
    for name in {*ROOMS, *imported, *modules}:
        folder = tree.joinpath(*name.split(".")[:-1] or [name])
        folder.mkdir(parents=True, exist_ok=True)
        for package in (folder, *folder.parents):
            if package.is_relative_to(tree) and package != tree:
                (package / "__init__.py").touch()
        if "." in name:
            folder.joinpath(name.split(".")[-1] + ".py").write_text(modules.get(name, "") + "\n", encoding="utf-8")
    shutil.copy(ROOT / "pyproject.toml", tree)
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "200"}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, encoding="utf-8")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Report on a tree that contains all of the wrong imports."""
    result = lint(tmp_path_factory.mktemp("wrong"), {module: source for module, source, _ in WRONG.values()})
    assert result.returncode == 1, result.stdout + result.stderr
    return result.stdout


@pytest.mark.apart
@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_import_is_found(report: str, kind: str) -> None:
    assert WRONG[kind][2] in report


@pytest.mark.apart
def test_imports_downwards_pass(tmp_path: Path) -> None:
    result = lint(tmp_path, RIGHT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_folder_of_python_is_a_room() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")} - NOT_ROOMS
    assert found == set(ROOMS), "name it in the import contract of pyproject.toml"
    layers = next(contract["layers"] for contract in CONTRACTS if contract["type"] == "layers")
    assert isinstance(layers, list)
    assert {room for layer in layers for room in layer.split(" | ")} == found


def test_integrations_may_import_no_room() -> None:
    banned = PYPROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    assert set(ROOMS) - {"tests"} <= set(banned)
