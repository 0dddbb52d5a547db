"""The packages of a user's install are enough.

Every command and benchmark imports only these packages, or names the others that it needs.

The imports are read from the source, those inside functions included; `deploy` installs what `requirements.lock` lists.
"""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import benchmarks

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
OURS = ("cli", "benchmarks", "harness", "services", "training", "engines", "compositing", "publishing", "shared")
PIN = re.compile(r"^([a-z0-9-]+)==", re.MULTILINE)
NEURAL = {
    "torch",
    "diffusers",
    "transformers",
    "safetensors",
    "tokenizers",
}  # from `make setup-torch`; a benchmark reports it where they are missing
BY_OTHER_MEANS = {"xformers", "src", "yaml"}  # from a checkout, or an option that is usually missing


def _pins(lock: str) -> set[str]:
    return set(PIN.findall((ROOT / lock).read_text(encoding="utf-8")))


@cache
def provided(lock: str) -> frozenset[str]:
    """Return the top-level modules of the packages in a lock."""
    names = _pins(lock)
    return frozenset(
        module
        for module, packages in packages_distributions().items()
        if names & {re.sub(r"[-_.]+", "-", package).lower() for package in packages}
    )


@cache
def imported(module: str) -> frozenset[str]:
    """Return the dotted names that a module of the project imports, anywhere in it."""
    path = _file(module)
    if path is None:
        return frozenset()
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def _file(module: str) -> Path | None:
    path = ROOT / module.replace(".", "/")
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)


def foreign(start: str) -> Iterator[str]:
    """Yield the top-level modules of other packages that a module of the project reaches."""
    seen, waiting = {start}, [start]
    while waiting:
        for name in imported(waiting.pop()) - seen:
            seen.add(name)
            if name.split(".")[0] in OURS:
                waiting.append(name)
            elif name.split(".")[0] not in sys.stdlib_module_names:
                yield name.split(".")[0]


def lacking(start: str) -> set[str]:
    """Return those modules that neither a user's install nor the PyTorch install has."""
    return set(foreign(start)) - provided("requirements.lock") - NEURAL - BY_OTHER_MEANS


@pytest.mark.parametrize("name", benchmarks.NAMES)
def test_a_benchmark_names_what_it_needs_besides(name: str) -> None:
    assert lacking(benchmarks.MODULES[name]) == set(benchmarks.NEEDED.get(name, ()))


def test_all_else_runs_from_a_user_s_install() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for room in ("cli", "services", "engines", "compositing", "publishing", "shared")
        for path in (ROOT / room).rglob("*.py")
    ]
    # The command line names the benchmarks, which name what they need.
    assert set().union(*(lacking(module) for module in modules if module != "cli.app")) == set()
