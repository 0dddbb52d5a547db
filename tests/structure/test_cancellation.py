"""No task loses its cancellation, as Python 3.11's `asyncio.wait_for` drops one that arrives with the result."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]


def calls_of_wait_for(path: Path) -> list[int]:
    """Return the lines that name `asyncio.wait_for`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "wait_for" and ast.unparse(node.value) == "asyncio"
    ]


def test_waits_are_bounded_by_asyncio_timeout() -> None:
    rooms = {path.parent for path in ROOT.glob("*/__init__.py")} | {ROOT / "integrations"}
    files = [path for room in rooms for path in room.rglob("*.py") if "tests" not in path.relative_to(ROOT).parts]
    assert len(files) > 300
    found = {path.relative_to(ROOT).as_posix(): lines for path in files if (lines := calls_of_wait_for(path))}
    assert found == {}
