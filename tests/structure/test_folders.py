"""No folder holds more source files than a reader can take in at a glance."""

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = {".py", ".js", ".css", ".html"}
MOST = 16  # files in a folder, about 15, not counting `__init__.py`


def test_folders_are_small() -> None:
    rooms = [path.parent for path in ROOT.glob("*/__init__.py")]
    files = [
        path for room in rooms for path in room.rglob("*") if path.suffix in SOURCES and path.name != "__init__.py"
    ]
    count = Counter(path.parent.relative_to(ROOT).as_posix() for path in files)
    assert count["engines/mesh"] > 1
    assert {folder: number for folder, number in count.items() if number > MOST} == {}
