"""Entry points of other packages: each has one name, which is the engine's own."""

import shutil
from pathlib import Path

import pytest

from engines.registry import load
from shared.config.settings import ENGINE_GROUP
from shared.errors import StudioError

ENGINE = "tests.support.engines.slow_engines:FaultyEngine"


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder in which packages are installed."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def install(packages: Path, package: str, name: str, where: str = ENGINE) -> None:
    """Install a package with one engine."""
    folder = packages / f"{package}-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n", encoding="utf-8")
    (folder / "entry_points.txt").write_text(f"[{ENGINE_GROUP}]\n{name} = {where}\n", encoding="utf-8")


def test_a_package_adds_an_engine_by_its_name(packages: Path) -> None:
    install(packages, "one", "faulty")
    assert load("faulty").info.title == "Faulty"


def test_a_package_is_found_as_soon_as_it_is_installed_and_no_longer_once_it_is_removed(packages: Path) -> None:
    for _ in range(2):
        with pytest.raises(StudioError, match="There is no engine 'faulty'"):
            load("faulty")
        install(packages, "one", "faulty")
        assert load("faulty").info.title == "Faulty"
        shutil.rmtree(packages / "one-1.dist-info")


def test_an_entry_point_has_the_engines_name(packages: Path) -> None:
    install(packages, "one", "other")
    with pytest.raises(StudioError, match="The entry point 'other' holds the engine 'faulty'; give both the same name"):
        load("other")


@pytest.mark.parametrize("name", ["Faulty", "my engine", "1st", "f" * 41])
def test_a_name_is_a_word_in_lower_case(packages: Path, name: str) -> None:
    install(packages, "one", name)
    with pytest.raises(StudioError, match="has no valid name: use 1 to 40 of a-z, 0-9 and '_'"):
        load(name)


def test_two_packages_with_one_name_are_named(packages: Path) -> None:
    install(packages, "one", "faulty")
    install(packages, "two", "faulty")
    with pytest.raises(StudioError, match=r"^one and two both have an engine 'faulty'; remove one of the packages"):
        load("faulty")


def test_what_a_package_raises_is_one_line(packages: Path) -> None:
    (packages / "broken_engine.py").write_text('raise ValueError("a\\nb")\n', encoding="utf-8")
    install(packages, "one", "broken", "broken_engine:Engine")
    with pytest.raises(StudioError, match=r"\(ValueError: a b\); update or remove the package one\.$"):
        load("broken")
