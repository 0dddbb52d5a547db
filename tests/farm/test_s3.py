"""Jobs in a bucket of a real S3 server: claims are exclusive there, and a store without that guarantee is refused."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.renderer.worker.store_probe import probe
from shared.errors import StudioError
from shared.jobs import claims
from shared.jobs.graph import render_name
from shared.jobs.store import RemoteStore, open_store


def test_of_many_at_once_one_creates(s3_store: str) -> None:
    at_once = 6
    stores = [open_store(s3_store) for _ in range(at_once)]
    start = threading.Barrier(at_once)

    def create(number: int, name: str) -> bool:
        start.wait(60)
        return stores[number].create(name, f"{number}".encode())

    with ThreadPoolExecutor(at_once) as pool:
        for turn in range(8):
            made = list(pool.map(create, range(at_once), [f"race/{turn}"] * at_once))
            assert made.count(True) == 1
            assert stores[0].read(f"race/{turn}") == f"{made.index(True)}".encode()


def test_files_are_kept_and_found_again(s3_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSONA_STUDIO_CACHE", str(tmp_path / "cache"))
    store, other = open_store(s3_store), open_store(s3_store)
    probe(store)
    assert store.list("") == [], "the probe left something behind"
    assert store.read("a/none") is None
    assert store.list("none") == []
    store.write("a/one", b"1")
    other.write("a/one", b"2")
    assert store.read("a/one") == b"2"
    source = tmp_path / "big"
    source.write_bytes(bytes(range(256)) * 30_000)
    scratch = store.scratch("a/scratch")
    scratch.write_bytes(b"made")
    store.move_in(scratch, "a/made")
    store.put(source, "a/big")
    assert not scratch.exists()
    assert other.list("a") == ["big", "made", "one"]
    assert other.fetch("a/big").read_bytes() == source.read_bytes()
    store.remove("a")
    assert other.list("a") == []


def test_claims_hold_in_a_bucket(s3_store: str) -> None:
    one, two = open_store(s3_store), open_store(s3_store)
    unit, job = render_name(0), "job"
    seen = claims.read_unit_state(one, job, unit)
    held = claims.claim_unit(one, job, unit, seen, "first")
    assert held is not None
    assert claims.claim_unit(two, job, unit, seen, "second") is None
    taken = claims.claim_unit(two, job, unit, claims.read_unit_state(two, job, unit), "second")
    assert taken is not None
    assert not claims.publish_unit(one, held, {}), "a late worker published"
    assert claims.publish_unit(two, taken, {})


def test_a_store_in_which_two_may_be_first_is_refused() -> None:
    class Careless(RemoteStore):
        def create(self, name: str, content: bytes) -> bool:
            self.write(name, content)
            return True

    with pytest.raises(StudioError, match="cannot hold jobs"):
        probe(Careless("memory://careless"))
    probe(open_store("memory://careful"))


def test_a_bucket_that_is_not_there_is_one_sentence(s3_store: str) -> None:
    with pytest.raises(StudioError, match="nowhere"):
        probe(open_store("s3://nowhere/jobs"))
