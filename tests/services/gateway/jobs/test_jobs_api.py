"""Jobs over HTTP as used by a stranger, an attacker and an operator, on a store as workers leave it."""

import json
import os
from pathlib import Path

import pytest

from services.gateway.api.uploads import file_name
from shared.jobs import claims, status
from shared.jobs.graph import render_name
from shared.jobs.store import Store
from tests.support.jobs import job_material as material
from tests.support.jobs.beating_worker import beating_worker
from tests.support.running.gateway import GatewayStudio

ROW = (
    "id", "state", "reason", "kind", "avatar", "engine", "driver", "priority", "created", "done", "total", "steps",
    "percent",
    "fps", "eta", "strip", "failing", "preview", "result", "bytes", "captions", "notes",
)  # fmt: skip


def test_a_job_is_listed_and_shown_with_what_hinders_it(running: GatewayStudio, store: Store) -> None:
    waiting, broken = material.job(store, 1, driver="a.mp4"), material.job(store, 2, driver="b.mp4")
    material.begin(store, broken, 2, 1)
    material.fail(store, broken, 4, "The engine made no image.")
    answer = running.http.get("/jobs").json()
    assert [row["id"] for row in answer["jobs"]] == [broken, waiting]
    assert answer["counts"] == {"queued": 1, "rendering": 1}
    row = answer["jobs"][0]
    assert list(row) == [*ROW, "segments"] and row["segments"] == 8
    assert row["failing"] == {"number": 5, "unit": "", "attempts": 3, "reason": "The engine made no image."}
    assert row["strip"] == "ddrwfwww" and row["fps"] == 23.4 and row["eta"] > 0 and row["preview"]
    shown = running.http.get(f"/jobs/{broken}").json()
    assert list(shown) == [*ROW, "segments"]
    assert [segment["state"] for segment in shown["segments"][:3]] == ["done", "done", "rendering"]
    assert shown["segments"][4]["reason"] == "The engine made no image."


def test_a_job_that_no_worker_can_do_says_so(running: GatewayStudio, store: Store) -> None:
    """The job gives the reason, in the list and alone; a finished job, and one that a worker can do, give none."""
    waiting, other, done = (
        material.job(store, number, engine=engine) for number, engine in enumerate(("mesh", "duix", "mesh"))
    )
    material.complete(store, done)
    with beating_worker(running.settings, "duix"):
        reason = running.wait(lambda: running.http.get(f"/jobs/{waiting}").json()["reason"])
        assert reason.startswith("The only running worker does not serve the engine mesh; run `studio worker")
        listed = {row["id"]: row["reason"] for row in running.http.get("/jobs").json()["jobs"]}
        assert listed == {waiting: reason, other: "", done: ""}


def test_pages_and_states(running: GatewayStudio, store: Store) -> None:
    made = [material.job(store, number) for number in range(7)]
    status.set_wanted_state(store, made[3], "cancelled")
    pages = [running.http.get("/jobs", params={"limit": 3, "offset": at}).json()["jobs"] for at in (0, 3, 6)]
    assert [row["id"] for page in pages for row in page] == made[::-1]
    only = running.http.get("/jobs", params={"state": "cancelled"}).json()["jobs"]
    assert [row["id"] for row in only] == [made[3]]
    for bad in ({"state": "broken"}, {"limit": 0}, {"limit": 100_000}, {"offset": -1}, {"limit": "x"}):
        answer = running.http.get("/jobs", params=bad)
        assert answer.status_code == 422 and list(answer.json()) == ["detail"], bad


def test_an_operator_steers(running: GatewayStudio, store: Store) -> None:
    name = material.job(store, 1)
    assert running.http.post(f"/jobs/{name}/pause").json()["state"] == "paused"
    assert running.http.post(f"/jobs/{name}/resume").json()["state"] == "queued"
    answer = running.http.post(f"/jobs/{name}/retry")
    assert (answer.status_code, answer.json()) == (409, {"detail": f"Job {name} has no failed units."})
    answer = running.http.delete(f"/jobs/{name}")
    assert answer.status_code == 409 and "cancel it first" in answer.json()["detail"]
    assert running.http.post(f"/jobs/{name}/cancel").json()["state"] == "cancelled"
    assert status.read_wanted_state(store, name) == "cancelled"
    assert running.http.delete(f"/jobs/{name}").status_code == 204
    assert running.http.get(f"/jobs/{name}").status_code == 404
    assert store.list("jobs") == []


def test_retry_tries_only_what_failed(running: GatewayStudio, store: Store) -> None:
    name = material.job(store, 1)
    material.begin(store, name, 1)
    material.fail(store, name, 2, "No.")
    assert running.http.get(f"/jobs/{name}").json()["state"] == "parked"
    assert running.http.post(f"/jobs/{name}/retry").json()["state"] == "rendering"
    assert claims.read_unit_state(store, name, render_name(0)).done
    assert not claims.read_unit_state(store, name, render_name(2)).parked


def test_the_captions_of_a_text_come_with_its_result(running: GatewayStudio, store: Store) -> None:
    name = material.job(store, 1, driver="page.txt")
    material.complete(store, name, b"film")
    place = f"jobs/{name}"
    store.write(f"{place}/result.vtt", b"WEBVTT\n")
    facts = json.loads(store.read(f"{place}/result.json") or b"")
    store.write(f"{place}/result.json", json.dumps(facts | {"captions": "result.vtt"}).encode())
    assert running.http.get(f"/jobs/{name}").json()["captions"] == "result.vtt"
    answer = running.http.get(f"/jobs/{name}/captions")
    assert answer.content == b"WEBVTT\n" and answer.headers["content-type"].startswith("text/vtt")
    assert answer.headers["content-disposition"].endswith(f'"page-{name}.vtt"')
    url, ticket = (
        f"http://{running.address}/api/v1/jobs/{name}",
        running.http.post(f"/jobs/{name}/captions/ticket").json(),
    )
    assert (
        running.stranger.get(f"{url}/download", params=ticket).status_code == 401
    )  # the ticket is for the captions, and this attempt voids it
    ticket = running.http.post(f"/jobs/{name}/captions/ticket").json()
    assert running.stranger.get(f"{url}/captions/download", params=ticket).status_code == 200
    assert running.stranger.get(f"{url}/captions/download", params=ticket).status_code == 401


def test_the_result_comes_whole_in_ranges_and_for_a_ticket_once(running: GatewayStudio, store: Store) -> None:
    name = material.job(store, 1, driver='evening "news"\r\nx-bad: 1.mp4')
    assert running.http.get(f"/jobs/{name}/result").status_code == 409
    assert running.http.get(f"/jobs/{name}/preview").status_code == 404
    content = os.urandom(300_000)
    material.complete(store, name, content)
    whole = running.http.get(f"/jobs/{name}/result")
    assert whole.content == content and whole.headers["content-type"] == "video/mp4"
    assert "x-bad" not in whole.headers and whole.headers["content-disposition"].endswith(f"-{name}.mp4")
    part = running.http.get(f"/jobs/{name}/result", headers={"Range": "bytes=1000-1999"})
    assert part.status_code == 206 and part.content == content[1000:2000]
    assert running.http.get(f"/jobs/{name}/result", headers={"Range": "bytes=9999999-"}).status_code == 416
    assert running.http.get(f"/jobs/{name}/captions").status_code == 409  # no text was spoken
    ticket = running.http.post(f"/jobs/{name}/ticket").json()["ticket"]
    other = material.job(store, 2)
    url = f"http://{running.address}/api/v1/jobs"
    assert running.stranger.get(f"{url}/{name}/download", params={"ticket": ticket}).content == content
    assert running.stranger.get(f"{url}/{name}/download", params={"ticket": ticket}).status_code == 401
    ticket = running.http.post(f"/jobs/{name}/ticket").json()["ticket"]
    assert running.stranger.get(f"{url}/{other}/download", params={"ticket": ticket}).status_code == 401
    assert running.http.get(f"/jobs/{name}/preview").content.startswith(b"\xff\xd8")


@pytest.mark.parametrize("name", ["..", "../x", "..%2f..%2fetc", "%2e%2e", "x" * 300, "a%00b", "A1B2C3D4", "*", "-rf"])
def test_what_is_no_job_is_not_there(running: GatewayStudio, store: Store, name: str) -> None:
    content = store.read(f"jobs/{material.job(store, 1)}/job.json")
    store.write("jobs/A1B2C3D4/job.json", content or b"")  # a folder that exists, but is not a job of the studio
    for method, rest in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/result"), ("GET", "/preview")):
        answer = running.http.request(method, f"/jobs/{name}{rest}")
        assert answer.status_code in (404, 405), (method, rest, answer.text)
    assert len(store.list("jobs")) == 2


def test_the_inbox_lists_plain_files_alone(running: GatewayStudio) -> None:
    folder = running.settings.home / "inbox"
    listed = running.http.get("/inbox").json()
    assert listed["folder"] == str(folder) and folder.is_dir()
    (folder / "one.mp4").write_bytes(b"12345")
    (folder / ".hidden.mp4").write_bytes(b"1")
    (folder / "folder").mkdir()
    (folder / "link.mp4").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.mp4")
    assert [(file["name"], file["bytes"]) for file in running.http.get("/inbox").json()["files"]] == [("one.mp4", 5)]


def test_a_strangers_file_name_is_only_a_name() -> None:
    assert file_name("clip one.mp4", "driver") == "clip one.mp4"
    for given in (
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        "",
        ".",
        "-rf",
        "a\0b.mp4",
        "\r\nx: y.mp4",
        "C:\\x.mp4",
        "😀" * 90 + ".mp4",
    ):
        made = file_name(given, "driver")
        assert made == Path(made).name and made not in ("", ".", "..") and not made.startswith(("-", "."))
        assert made.isprintable() and len(made.encode()) <= 140
    assert file_name("😀" * 90 + ".mp4", "driver").endswith(".mp4")
