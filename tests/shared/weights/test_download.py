"""Fetching a large file from a server that breaks off, states false sizes, fails at times or sends another file."""

import fcntl
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import NoSpaceError, StudioError
from shared.weights import download
from tests.support.running.hub import Hub, running_hub

CONTENT = random.Random(1).randbytes(3_000_000)
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running_hub() as hub:
        hub.add("o/r", "f.bin", CONTENT)
        yield hub


def fetch(hub: Hub, to: Path, name: str = "f.bin", attempts: int = 3) -> str:
    with download.client() as http:
        offer = download.ask_for_offer(http, f"{hub.url}/o/r/resolve/main/{name}", attempts=attempts, pause=0)
        return download.download_file(http, offer, to, attempts=attempts, pause=0)


def only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_offer_says_size_hash_and_revision_before_anything_is_fetched(hub: Hub) -> None:
    with download.client() as http:
        offer = download.ask_for_offer(http, f"{hub.url}/o/r/resolve/main/f.bin")
    assert (offer.size, offer.sha256, offer.commit) == (len(CONTENT), SHA, "c0ffee")
    assert not hub.gets()


def test_a_file_comes_whole_and_leaves_nothing_beside_it(hub: Hub, tmp_path: Path) -> None:
    to = tmp_path / "deep" / "er" / "f.bin"
    assert fetch(hub, to) == SHA
    assert to.read_bytes() == CONTENT and only(to.parent) == ["f.bin"]


def test_a_line_that_breaks_is_taken_up_where_it_broke(hub: Hub, tmp_path: Path) -> None:
    hub.break_after = [1_000_000, 500_000, 700_000]
    assert fetch(hub, tmp_path / "f.bin") == SHA
    assert [r for _, path, r in hub.gets() if path.startswith("/stored")] == [
        "",
        "bytes=1000000-",
        "bytes=1500000-",
        "bytes=2200000-",
    ]


def test_what_came_is_kept_for_the_next_pull(hub: Hub, tmp_path: Path) -> None:
    hub.break_after = [1_200_000, 0, 0, 0]
    with pytest.raises(StudioError, match=r"did not finish .*f.bin: .*pull again to continue"):
        fetch(hub, tmp_path / "f.bin")
    assert not (tmp_path / "f.bin").exists() and len(only(tmp_path)) == 1
    hub.asked.clear()
    hub.break_after = []
    assert fetch(hub, tmp_path / "f.bin") == SHA
    assert hub.gets()[-1][2] == "bytes=1200000-"
    assert only(tmp_path) == ["f.bin"]


def test_a_part_of_another_version_is_not_gone_on_behind(hub: Hub, tmp_path: Path) -> None:
    hub.break_after = [1_200_000, 0, 0, 0]
    with pytest.raises(StudioError):
        fetch(hub, tmp_path / "f.bin")
    hub.break_after = []
    hub.add("o/r", "f.bin", CONTENT[::-1])
    assert fetch(hub, tmp_path / "f.bin") == hashlib.sha256(CONTENT[::-1]).hexdigest()
    assert only(tmp_path) == ["f.bin"]


def test_a_part_that_went_bad_on_the_disk_is_fetched_again(hub: Hub, tmp_path: Path) -> None:
    hub.break_after = [1_200_000, 0, 0, 0]
    with pytest.raises(StudioError):
        fetch(hub, tmp_path / "f.bin")
    hub.break_after = []
    (part,) = tmp_path.iterdir()
    part.write_bytes(bytes(1_200_000))
    assert fetch(hub, tmp_path / "f.bin") == SHA


def test_a_server_without_range_sends_all_of_it_again(hub: Hub, tmp_path: Path) -> None:
    hub.ranges = False
    hub.break_after = [1_000_000]
    assert fetch(hub, tmp_path / "f.bin") == SHA


def test_wrong_bytes_are_refused_and_not_kept(hub: Hub, tmp_path: Path) -> None:
    old = tmp_path / "f.bin"
    old.write_bytes(b"the old one")
    hub.swapped["/o/r/resolve/main/f.bin"] = CONTENT[:-1] + b"!"
    with pytest.raises(StudioError, match=r"sent something other than f.bin"):
        fetch(hub, old)
    assert old.read_bytes() == b"the old one"
    assert sum(path.stat().st_size for path in tmp_path.glob(".*.part")) == 0


@pytest.mark.parametrize(("claims", "said"), [(2_000_000, "something other|sends more"), (4_000_000, "did not finish")])
def test_a_length_that_is_not_true_is_no_success(hub: Hub, tmp_path: Path, claims: int, said: str) -> None:
    hub.claims = claims
    with pytest.raises(StudioError, match=said):
        fetch(hub, tmp_path / "f.bin")
    assert not (tmp_path / "f.bin").exists()


def test_more_bytes_than_announced_are_not_taken(hub: Hub, tmp_path: Path) -> None:
    offer = download.FileOffer(f"{hub.url}/o/r/resolve/main/f.bin", 1_000_000, None, "t", "")
    with download.client() as http, pytest.raises(StudioError, match="sends more than the 1000000 bytes"):
        download.download_file(http, offer, tmp_path / "f.bin", pause=0)
    assert not (tmp_path / "f.bin").exists()


def test_a_server_that_stumbles_is_asked_again(hub: Hub, tmp_path: Path) -> None:
    hub.stumbles = 2
    assert fetch(hub, tmp_path / "f.bin") == SHA
    hub.stumbles = 9
    with pytest.raises(StudioError, match="it answers 503"):
        fetch(hub, tmp_path / "g.bin")


def test_a_file_that_is_not_there_is_one_sentence(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"no longer has o/r/resolve/main/no.bin \(404\)"):
        fetch(hub, tmp_path / "no.bin", "no.bin")


def test_a_hub_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    with running_hub() as gone:
        address = gone.url
    with download.client() as http, pytest.raises(StudioError, match=r"cannot be reached .* name a mirror"):
        download.ask_for_offer(http, f"{address}/o/r/resolve/main/f.bin", attempts=2, pause=0)


def test_it_is_not_sent_on_to_where_nothing_is_encrypted(hub: Hub, tmp_path: Path) -> None:
    hub.hashes = False
    hub.away = "http://192.0.2.1/f.bin"
    with pytest.raises(StudioError, match=r"192.0.2.1 would send the file without encryption"):
        fetch(hub, tmp_path / "f.bin")


def test_two_pulls_do_not_write_into_each_other(hub: Hub, tmp_path: Path) -> None:
    hub.break_after = [1_200_000, 0, 0, 0]
    with pytest.raises(StudioError):
        fetch(hub, tmp_path / "f.bin")
    (part,) = tmp_path.iterdir()
    with part.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StudioError, match="another `pull`"):
            fetch(hub, tmp_path / "f.bin")
    assert part.stat().st_size == 1_200_000


def test_a_full_disk_is_reported_and_keeps_what_came(hub: Hub) -> None:
    full = Path("/dev/full")
    with download.client() as http, full.open("r+b", buffering=0) as file, pytest.raises(OSError) as told:
        offer = download.ask_for_offer(http, f"{hub.url}/o/r/resolve/main/f.bin")
        download._read_on(http, offer, file, lambda done: None)  # type: ignore[arg-type]
    error = download._unwritable(Path("/weights/f.bin"), told.value)
    assert isinstance(error, NoSpaceError) and "The disk of /weights is full" in str(error)


def test_a_folder_that_cannot_be_written_is_one_sentence(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(StudioError, match=r"cannot be written .*choose another folder"):
        fetch(hub, tmp_path / "file" / "f.bin")
