"""No two classes or type aliases share a name, so that a search for a name finds one definition."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
OF_FUNCTIONS = {"NetworkT"}  # type variables, which each module must define for itself


def test_classes_and_type_aliases_have_names_of_their_own() -> None:
    defined = defaultdict[str, list[str]](list)
    for room in ROOT.glob("*/__init__.py"):
        for path in room.parent.rglob("*.py"):
            for name in _types(ast.parse(path.read_text(encoding="utf-8"))):
                defined[name].append(path.relative_to(ROOT).as_posix())
    assert defined["MeshEngine"] == ["engines/mesh/engine.py"]
    assert {name: paths for name, paths in defined.items() if len(paths) > 1 and name not in OF_FUNCTIONS} == {}


def _types(module: ast.Module) -> list[str]:
    """Return the names of all classes and of the module's type aliases: `Name = ...`, not in capitals."""
    names = [node.name for node in ast.walk(module) if isinstance(node, ast.ClassDef)]
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            names += [name] if name[0].isupper() and not name.isupper() else []
    return names
