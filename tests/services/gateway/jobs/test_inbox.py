"""The inbox: a request can name a plain file directly inside it, and no other file on the machine."""

import os
import socket
from pathlib import Path

import pytest

from services.gateway.jobs.inbox import LISTED, LONGEST, inbox, inbox_file, inbox_folder
from shared.errors import StudioError

pytestmark = pytest.mark.unit


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose inbox holds a film, and files outside the inbox that must not be reachable."""
    folder = inbox_folder(tmp_path / "home")
    folder.mkdir(parents=True)
    (folder / "film.mp4").write_bytes(b"film")
    (folder.parent / "token").write_bytes(b"secret")
    (tmp_path / "outside").write_bytes(b"outside")
    return folder.parent


def refused(home: Path, name: str) -> None:
    with pytest.raises(StudioError) as raised:
        inbox_file(home, name)
    assert str(raised.value).startswith("There is no such file in the inbox; give a name")


def test_a_file_of_the_inbox_is_found_by_its_name(home: Path) -> None:
    assert inbox_file(home, "film.mp4").read_bytes() == b"film"
    (inbox_folder(home) / "Grüße 1.mp4").write_bytes(b"x")
    assert inbox_file(home, "Grüße 1.mp4").parent == inbox_folder(home)


@pytest.mark.parametrize(
    "name", ["../token", "..", ".", "./film.mp4", "/etc/passwd", "//film.mp4", "film.mp4/", "x/../film.mp4",
             "../inbox/film.mp4",
             "film.mp4\0", "\0", "fi\nlm.mp4", "none.mp4", "FILM.MP4", "film.mp4 ", "~", "*", "film*", "\ud800",
             "x" * 4096],
)  # fmt: skip
def test_a_path_is_no_name(home: Path, name: str) -> None:
    refused(home, name)


def test_an_empty_name_is_not_the_folder(home: Path) -> None:
    with pytest.raises(StudioError):
        inbox_file(home, "")


def test_what_is_hidden_stays_hidden(home: Path) -> None:
    (inbox_folder(home) / ".part").write_bytes(b"half a copy")
    refused(home, ".part")
    assert [row.name for row in inbox(home)] == ["film.mp4"]


@pytest.mark.parametrize("target", ["../token", "../../outside", "film.mp4", "/dev/zero", "gone", "."])
def test_a_link_is_neither_listed_nor_followed(home: Path, target: str) -> None:
    (inbox_folder(home) / "link.mp4").symlink_to(target)
    refused(home, "link.mp4")
    assert [row.name for row in inbox(home)] == ["film.mp4"]


def test_only_plain_files_are_files(home: Path) -> None:
    folder = inbox_folder(home)
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(folder)  # a relative name, because the address of a socket must be short
        try:
            bound.bind("socket")
        finally:
            os.chdir(here)
    for name in ("folder", "pipe", "socket"):
        refused(home, name)
    assert [row.name for row in inbox(home)] == ["film.mp4"]


def test_files_are_listed_newest_first_with_their_sizes(home: Path) -> None:
    folder = inbox_folder(home)
    (folder / "new.mov").write_bytes(bytes(1000))
    os.utime(folder / "film.mp4", (100, 100))
    os.utime(folder / "new.mov", (200, 200))
    assert [(row.name, row.bytes, row.modified) for row in inbox(home)] == [
        ("new.mov", 1000, 200),
        ("film.mp4", 4, 100),
    ]


def test_a_list_is_bounded(home: Path) -> None:
    for number in range(LISTED + 5):
        (inbox_folder(home) / f"{number}.mp4").touch()
    assert len(inbox(home)) == LISTED


def test_a_name_that_is_no_text_is_shown_so_that_it_can_be_asked_for(home: Path) -> None:
    """A name in another character set is listed in a form that a request can use, unless it is not printable."""
    folder = inbox_folder(home)
    for coded in (b"caf\xe9.mp4", b"a\nb.mp4", b"\xc2\xad.mp4"):
        (folder / os.fsdecode(coded)).write_bytes(coded)
    shown = [row.name for row in inbox(home)]
    assert "film.mp4" in shown and all(name.isprintable() for name in shown)
    for name in shown:
        assert inbox_file(home, name).is_file()


def test_the_longest_name_a_file_can_have_is_one(home: Path) -> None:
    name = "x" * LONGEST
    (inbox_folder(home) / name).touch()
    assert inbox_file(home, name).name == name


def test_the_folder_is_made_with_the_first_look(tmp_path: Path) -> None:
    assert inbox(tmp_path / "new") == [] and inbox_folder(tmp_path / "new").is_dir()


def test_a_folder_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "inbox").write_bytes(b"in the way")
    with pytest.raises(StudioError, match=r"cannot be read \(File exists\); check the folder"):
        inbox(tmp_path)
    refused(tmp_path, "film.mp4")
