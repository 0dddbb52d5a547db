"""The tests named in the trust table of docs/security.md exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_it_names_is_there() -> None:
    named = set(re.findall(r"`(tests/[\w/.]+)`", (ROOT / "docs" / "security.md").read_text(encoding="utf-8")))
    assert len(named) > 15
    assert not [name for name in named if not (ROOT / name).exists()]
