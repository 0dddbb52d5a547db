"""Public methods have docstrings, or override methods that have one.

Ruff's D101 and D103 cover classes and functions; its D102 recognises only overrides that are marked as such.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    "persona_studio", "cli", "benchmarks", "harness", "services", "training", "engines", "compositing", "publishing",
    "shared", "integrations",
)  # fmt: skip


def without_docstrings(sources: dict[str, str]) -> Iterator[str]:
    """Yield "path:line name" of public methods that have no docstring and override none that has one.

    A base class that none of these sources defines counts as documented. No two classes share a name.
    """
    classes = {
        node.name: (path, node) for path, source in sources.items() for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
    }  # fmt: skip

    def documented(name: str, method: str) -> bool:
        if name not in classes:
            return True
        _, node = classes[name]
        own = [each for each in _methods(node) if each.name == method]
        if any(ast.get_docstring(each) for each in own):
            return True
        return any(
            documented(base, method) for base in map(_last_name, node.bases) if base not in ("object", "Protocol")
        )

    for name, (path, node) in classes.items():
        if name.startswith("_"):
            continue
        for method in _methods(node):
            if not method.name.startswith("_") and not _is_setter(method) and not documented(name, method.name):
                yield f"{path}:{method.lineno} {name}.{method.name}"


def _methods(node: ast.ClassDef) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]


def _is_setter(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(each, ast.Attribute) and each.attr == "setter" for each in method.decorator_list)


def _last_name(base: ast.expr) -> str:
    if isinstance(base, ast.Subscript):
        base = base.value
    return base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""


def test_public_methods_have_docstrings() -> None:
    sources = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for room in ROOMS for path in (ROOT / room).rglob("*.py")
    }  # fmt: skip
    assert len(sources) > 300
    assert list(without_docstrings(sources)) == []


BASE = 'class Base:\n    def step(self):\n        """Do it."""\n'


CASES = {
    "no docstring": ("class A:\n    def step(self): ...", ["a.py:2 A.step"]),
    "of a base that lacks it": ("class A(Base):\n    def other(self): ...", ["a.py:2 A.other"]),
    "of a protocol": ("class A(Protocol):\n    def step(self): ...", ["a.py:2 A.step"]),
    "an override": ("class A(Base[int]):\n    def step(self): ...", []),
    "of another package": ("class A(torch.nn.Module):\n    def forward(self): ...", []),
    "private": ("class A:\n    def _step(self): ...\nclass _B:\n    def step(self): ...", []),
    "a setter": ('class A:\n  @property\n  def x(self):\n    """X."""\n  @x.setter\n  def x(self, to): ...', []),
}


@pytest.mark.parametrize("case", CASES)
def test_a_method_without_a_docstring_is_found(case: str) -> None:
    source, found = CASES[case]
    assert list(without_docstrings({"base.py": BASE, "a.py": source})) == found
