"""Nothing outside the engines' own folders names an engine, except one setting, which names the default."""

import re
from pathlib import Path

from engines.registry import load, names

ROOT = Path(__file__).parents[2]
ROOMS = ("cli", "services", "shared", "compositing", "publishing", "persona_studio")
SOURCES = {".py", ".js", ".ts", ".html", ".css"}
SETTING = Path("shared/config/settings.py"), 'DEFAULT_ENGINE = "mesh"  # needs no weights and no GPU'
LIBRARY = re.compile("output_mesh_identity|AttentionMesh")  # names in the face models, not of engines


def naming_lines(path: Path, words: re.Pattern[str]) -> list[str]:
    """Return the lines of a file that name an engine, as "path:number: line"."""
    found = []
    for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1):
        if words.search(LIBRARY.sub("", line)) and (path, line) != SETTING:
            found.append(f"{path}:{number}: {line.strip()}")
    return found


def test_no_other_room_names_an_engine() -> None:
    engines = names()
    assert {"mesh", "liveportrait", "personalive"} <= set(engines)
    called = [re.escape(word) for name in engines for word in (name, load(name).info.title)]
    words = re.compile(rf"(?<![a-z0-9])({'|'.join(called)})(?![a-z0-9])", re.IGNORECASE)
    files = [
        path.relative_to(ROOT) for room in ROOMS for path in sorted((ROOT / room).rglob("*")) if path.suffix in SOURCES
    ]
    assert len(files) > 200 and SETTING[0] in files
    assert [line for path in files for line in naming_lines(path, words)] == []
