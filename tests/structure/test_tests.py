"""Tests are in the folder of their subject; they import no other tests, and benchmarks only to test them."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
# Folders that match no source folder: tests of whole programs, of whole farms of workers, and of the source tree.
OF_THEIR_OWN = {"system", "farm", "structure"}
# Not tests: shared test material, and the comparison with the original networks, parts of which tests import.
PACKAGES = {"support", "parity"}


def modules() -> list[Path]:
    """Return every module below tests/, relative to the root."""
    return sorted(path.relative_to(ROOT) for path in TESTS.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Yield the full names of all that a module imports, inside functions too."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def test_every_folder_of_tests_has_the_name_of_a_source_folder() -> None:
    folders = {path.parent.relative_to("tests") for path in modules() if path.name.startswith("test_")}
    strays = [
        str(folder)
        for folder in sorted(folders)
        if folder.parts[:1] == () or (folder.parts[0] not in OF_THEIR_OWN and not (ROOT / folder).is_dir())
    ]
    assert strays == []
    assert [str(path) for path in modules() if path.parts[1] in PACKAGES and path.name.startswith("test_")] == []


def test_no_test_imports_another() -> None:
    wrong = [
        f"{path} imports {name}"
        for path in modules()
        for name in imports(path)
        if name.startswith(".") or (name.startswith("tests.") and name.split(".")[1] not in PACKAGES)
    ]
    assert wrong == [], "what two tests need belongs in tests/support"


def test_only_tests_of_the_benchmarks_import_them() -> None:
    wrong = [
        f"{path} imports {name}"
        for path in modules()
        for name in imports(path)
        if name.split(".")[0] == "benchmarks" and path.parts[1] != "benchmarks"
    ]
    assert wrong == [], "what tests and benchmarks need belongs in harness"
