"""The HTTP API as used by a stranger, an attacker and an operator."""

import pickle
import re
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import httpx
import numpy as np
import pytest

from engines.options import options_schema
from harness.channel import PATIENCE_S
from shared.avatar.samples import sample_portrait, write_body_video
from shared.errors import StudioError
from tests.support.engines.slow_engines import LadderEngine, LadderOptions
from tests.support.files.evil_pickle import Evil
from tests.support.files.sound_files import tone, wav
from tests.support.jobs.template_farm import published, template
from tests.support.running.gateway import GatewayStudio, image

OPEN = {("GET", "/api/v1/version"), ("GET", "/metrics")}


def operations(running: GatewayStudio) -> Iterator[tuple[str, str]]:
    schema = running.stranger.get(f"http://{running.address}/api/v1/openapi.json").json()
    for path, methods in schema["paths"].items():
        for method in methods:
            yield method.upper(), path


def filled(path: str) -> str:
    return re.sub(r"\{channel\}", "main", re.sub(r"\{(?!channel)\w+\}", "sample", path))


def test_every_route_of_the_schema_wants_the_token(running: GatewayStudio) -> None:
    found = list(operations(running))
    assert len(found) > 15
    before = running.state()["scene"]["revision"]
    for method, path in found:
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Basic {running.token}"}):
            answer = running.stranger.request(method, f"http://{running.address}{filled(path)}", headers=headers)
            expected = 200 if (method, path) in OPEN else 401
            assert answer.status_code == expected, (method, path, answer.text)
    assert running.state()["scene"]["revision"] == before


def test_the_token_in_the_address_is_of_no_use(running: GatewayStudio) -> None:
    answer = running.stranger.get(f"http://{running.address}/api/v1/channels/main", params={"token": running.token})
    assert answer.status_code == 401


def test_a_foreign_host_name_is_refused(running: GatewayStudio) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:80", ""):
        answer = running.http.get("/channels/main", headers={"Host": host})
        assert answer.status_code in (400, 421), host
    for host in ("localhost", f"localhost:{running.port}", f"[::1]:{running.port}"):
        assert running.http.get("/channels/main", headers={"Host": host}).status_code == 200


def test_a_foreign_origin_may_change_nothing(running: GatewayStudio) -> None:
    before = running.state()["scene"]
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{running.port + 1}", "http://[bad"):
        for method, path in operations(running):
            if method != "GET":
                url = f"http://{running.address}{filled(path)}"
                answer = running.stranger.request(method, url, headers={**running.headers, "Origin": origin})
                assert answer.status_code == 403, (origin, method, path)
    assert running.state()["scene"] == before
    own = {"Origin": f"http://{running.address}"}
    assert running.http.patch("/channels/main/scene", json={}, headers=own).status_code == 200


def test_answers_carry_no_cors_header_and_a_strict_policy(running: GatewayStudio) -> None:
    for path in ("/", "/web/console/main.js", "/api/v1/version", "/api/v1/channels/main", "/nowhere"):
        answer = running.stranger.get(f"http://{running.address}{path}", headers={"Origin": "https://evil.example"})
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"nonsense": 1}, 422), ({"recording": "/tmp/x.mp4"}, 422), ({"revision": 3}, 422), ({"label": "yes"}, 422),
        ({"avatar": "missing"}, 404), ({"avatar": "../sample"}, 404), ({"engine": "none"}, 404),
        ({"engine": "live-portrait"}, 409),
        ({"driver": "file:/etc/passwd"}, 422), ({"driver": "/etc/passwd"}, 422), ({"driver": "camera:/dev/sda"}, 422),
        ({"driver": "camera:-1"}, 422), ({"driver": "upload:../../x"}, 404), ({"driver": "http://"}, 422),
        ({"quality": "full"}, 422), ({"engine": "ladder", "quality": "best"}, 422), ({"quality": 3}, 422),
        ({"options": {"quality": "full"}}, 422), ({"engine": "ladder", "options": {"colour": 1}}, 422),
        ({"engine": "ladder", "options": {"seed": 100}}, 422), ({"engine": "ladder", "options": {"seed": [1]}}, 422),
        ({"engine": "ladder", "options": []}, 422), ({"engine": "none", "options": {"seed": 1}}, 404),
        ({"driver": "concat:a|b"}, 422), ({"driver": "x" * 3000}, 422), ({"driver": "http://a\nb"}, 422),
    ],
)  # fmt: skip
def test_a_scene_that_cannot_be_is_refused_in_one_sentence(
    running: GatewayStudio, changes: dict[str, Any], status: int
) -> None:
    before = running.state()["scene"]
    answer = running.patch(**changes)
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["detail"] and answer.json()["detail"].strip().endswith((".", "]")), answer.text
    assert running.state()["scene"] == before


def test_a_change_reaches_the_other_services_and_survives_the_gateway(own: GatewayStudio) -> None:
    assert own.patch(avatar="mona", label=False, driver="camera:2").status_code == 200
    own.wait(lambda: own.channel.scene and own.channel.scene.avatar == "mona")
    assert own.channel.scene and own.channel.scene.driver == "camera:2"
    own.kill()
    own.start()
    scene = own.state()["scene"]
    assert (scene["avatar"], scene["label"], scene["driver"]) == ("mona", False, "camera:2")


def test_options_are_those_that_the_engine_has(own: GatewayStudio) -> None:
    rows = {row["name"]: row for row in own.wait(lambda: own.state()["engines"])}
    assert rows["ladder"]["options"] == options_schema(LadderOptions()) and rows["mesh"]["options"] == {}
    assert own.state()["engine"]["quality"] == {"name": "half", "title": "256 pixels"}
    refusals: dict[str, dict[str, Any]] = {
        "Option 'quality' of Ladder: Input should be 'auto', 'full' or 'half' (got 'best').": {"quality": "best"},
        "Option 'seed' of Ladder: Input should be less than or equal to 99 (got 100).": {"seed": 100},
        "Ladder has no option 'colour'; it has quality, seed.": {"seed": 1, "colour": "red"},
    }
    for said, options in refusals.items():
        assert own.patch(engine="ladder", options=options).json() == {"detail": said}
        with pytest.raises(StudioError) as raised:
            LadderEngine().options(options)
        assert str(raised.value) == said, "the engine itself says the same"
    assert own.patch(options={"seed": 1}).json()["detail"] == "Mesh warp has no options; leave out 'seed'."
    assert own.patch(engine="ladder", options={"seed": 4}).json()["options"] == {"seed": 4}
    assert own.patch(options={"quality": "half"}).json()["options"] == {"seed": 4, "quality": "half"}
    own.wait(lambda: own.channel.scene and own.channel.scene.options == {"seed": 4, "quality": "half"})
    own.kill()
    own.start()
    own.wait(lambda: own.state()["engines"])
    assert own.state()["scene"]["options"] == {"seed": 4, "quality": "half"}, "they are saved"
    assert own.patch(options={"seed": None}).json()["options"] == {"quality": "half"}
    assert own.patch(engine="mesh").json()["options"] == {}, "another engine's are dropped"


def test_a_quality_as_it_was_asked_for_before_there_were_options(own: GatewayStudio) -> None:
    own.wait(lambda: own.state()["engines"])
    assert own.patch(engine="ladder", quality="half").json()["options"] == {"quality": "half"}
    assert own.patch(quality="").json()["options"] == {}
    assert [e["text"] for e in own.state()["log"] if "Quality" in e["text"]] == [
        "Quality is now half.", "Quality is now as in the settings.",
    ]  # fmt: skip
    assert own.patch(engine="mesh", quality="").status_code == 200


def test_options_are_bounded(own: GatewayStudio) -> None:
    own.wait(lambda: own.state()["engines"])
    assert own.patch(engine="verbose", options={"prompt": "a" * 4000}).status_code == 200
    answer = own.patch(options={"prompt": "a" * 4096})
    assert answer.status_code == 422 and "at most 4 KB" in answer.json()["detail"]


def test_neutral_counts_up(running: GatewayStudio) -> None:
    before = running.state()["scene"]["neutral"]
    assert running.http.post("/channels/main/neutral/retake").json() == {"neutral": before + 1}


def test_another_channel_is_not_there(running: GatewayStudio) -> None:
    assert running.http.get("/channels/other").status_code == 404


def test_engines_say_why_they_cannot_run_and_on_what_terms(running: GatewayStudio) -> None:
    running.wait(lambda: running.http.get("/engines").json())
    rows = {row.pop("name"): row for row in running.http.get("/engines").json()}
    assert rows["mesh"] == {
        "title": "Mesh warp",
        "options": {},
        "modes": ["live", "offline"],
        "template_suffixes": [],
        "terms": "",
        "unavailable": "",
    }
    assert rows["live-portrait"]["terms"] == "Weights for research only."
    assert rows["live-portrait"]["unavailable"].startswith("Weights are missing")


def test_avatars_with_image_plate_and_index(running: GatewayStudio) -> None:
    names = {row["name"] for row in running.http.get("/avatars").json()} - {"whole"}  # which the fixture `avatar` adds
    assert names == {"sample", "mona"}
    assert running.http.get("/avatars/sample/thumb").content.startswith(b"\xff\xd8")
    index = running.http.get("/avatars/sample/plate/index").json()
    plate = running.http.get("/avatars/sample/plate").content
    assert len(plate) == index["starts"][-1] and len(index["starts"]) == 5
    for start in index["starts"][:-1]:
        assert plate[start : start + 2] == b"\xff\xd8"
    for name in ("..", "%2e%2e", "missing", ".building-x"):
        assert running.http.get(f"/avatars/{name}/plate").status_code == 404


def test_the_avatar_on_air_cannot_be_deleted(running: GatewayStudio) -> None:
    assert running.http.delete("/avatars/sample").status_code == 409
    assert running.http.delete("/avatars/missing").status_code == 404


def files(**given: bytes) -> dict[str, tuple[str, bytes]]:
    return {name: (f"{name}.png", content) for name, content in given.items()}


def test_an_upload_that_says_it_is_too_large_is_refused_before_it_is_read(running: GatewayStudio) -> None:
    head = (
        f"POST /api/v1/avatars HTTP/1.1\r\nHost: {running.address}\r\nAuthorization: Bearer {running.token}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {1000 << 20}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE_S) as connection:
        connection.sendall(head.encode())
        assert b" 413 " in connection.recv(1000)


def test_a_part_is_refused_as_soon_as_it_is_too_large(running: GatewayStudio) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n'
        while sent < 200 << 20:
            sent += 1 << 20
            yield bytes(1 << 20)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    try:
        answer = running.http.post("/channels/main/speech", headers=headers, content=endless())
        assert answer.status_code == 413
    except httpx.TransportError:
        pass  # refused while the body was still being sent
    assert sent < 100 << 20
    running.wait(lambda: not list(running.settings.home.glob(".incoming-*")))


@pytest.mark.parametrize(
    ("data", "given", "status"),
    [
        ({"name": "x"}, {}, 422),
        ({"name": "../x", "rights": "mine"}, files(portrait=b"x"), 422),
        ({"name": "x", "rights": ""}, files(portrait=b"x"), 422),
        ({"name": "x", "rights": "mine\0"}, files(portrait=b"x"), 422),
        ({"name": "x", "rights": "mine\x1b[2J"}, files(portrait=b"x"), 422),
        ({"name": "sample", "rights": "mine"}, files(portrait=b"x"), 409),
        ({"name": "x", "rights": "mine", "else": "1"}, files(portrait=b"x"), 422),
        ({"name": "x", "rights": "mine", "still": "soon"}, files(portrait=b"x"), 422),
        ({"name": "x", "rights": "m" * 3000}, files(portrait=b"x"), 413),
    ],
)
def test_a_bad_form_is_one_sentence(running: GatewayStudio, data: dict[str, str], given: Any, status: int) -> None:
    answer = running.http.post("/avatars", data=data, files=given or {"": ("", b"")})
    assert answer.status_code == status, answer.text
    assert not list(running.settings.home.glob(".incoming-*"))


def test_a_portrait_that_is_no_image_leaves_one_sentence_and_nothing_else(running: GatewayStudio) -> None:
    data = {"name": "new", "rights": "mine"}
    answer = running.http.post("/avatars", data=data, files=files(portrait=b"not an image"))
    assert answer.status_code == 422 and "image" in answer.json()["detail"]
    assert not (running.settings.home / "avatars" / "new").exists()
    assert any("new" in event["text"] and event["kind"] == "error" for event in running.state()["log"])


def test_a_filmed_body_alone_makes_an_avatar_and_says_what_it_shows(running: GatewayStudio, tmp_path: Path) -> None:
    write_body_video(tmp_path / "body.mp4", sample_portrait(), 12)
    filmed = (tmp_path / "body.mp4").read_bytes()
    data = {"name": "anchor", "rights": "mine", "still": "0.2", "exclude": "0.4-1", "keep_film": "true"}
    answer = running.http.post("/avatars", data=data, files=files(body=filmed))
    assert answer.status_code == 201, answer.text
    try:
        report = running.http.get("/avatars/anchor/film").json()
        assert report["still"] == 5 and report["loop"]["parts"][-1]["end"] <= 10 and report["kept_bytes"] == len(filmed)
        sheet = running.http.get("/avatars/anchor/film/sheet")
        again = running.http.put("/avatars/anchor/film", json={"still": 0.32, "exclude": []})
        assert again.status_code == 200, again.text
        report = running.http.get("/avatars/anchor/film").json()
        assert report["still"] == 8 and report["kept_bytes"] == len(filmed)
        assert not any(each["kind"] == "excluded" for each in report["stretches"])
        wrong = running.http.put("/avatars/anchor/film", json={"exclude": ["8-3"]})
        assert wrong.status_code == 422 and "FROM-TO" in wrong.json()["detail"]
        image = cv2.imdecode(np.frombuffer(sheet.content, np.uint8), cv2.IMREAD_COLOR)
        assert sheet.headers["content-type"] == "image/jpeg" and image is not None and image.shape[1] > 1000
    finally:
        assert running.http.delete("/avatars/anchor").status_code == 204
    assert running.http.get("/avatars/anchor/film").status_code == 404
    assert running.http.get("/avatars/sample/film").status_code == 404, "a portrait alone has no film"
    assert running.http.put("/avatars/sample/film", json={}).status_code == 404


def clip(path: Path) -> bytes:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height = 64, 48
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


def test_an_uploaded_driver_is_used_by_the_id_we_made(running: GatewayStudio, tmp_path: Path) -> None:
    given = {"video": ("../../evil name.mp4", clip(tmp_path / "a.mp4"))}
    made = running.http.post("/drivers", files=given).json()
    stored = running.settings.home / "drivers" / f"{made['id']}.mp4"
    assert re.fullmatch(r"[0-9a-f]{16}", made["id"]) and stored.is_file()
    assert running.patch(driver=made["driver"]).json()["driver"] == made["driver"]
    running.wait(lambda: running.channel.scene and running.channel.scene.driver == f"file:{stored}")
    assert running.http.delete(f"/drivers/{made['id']}").status_code == 409
    running.patch(driver="sample")
    assert running.http.delete(f"/drivers/{made['id']}").status_code == 204
    assert not stored.exists()


def test_a_driver_that_is_no_video_is_refused(running: GatewayStudio) -> None:
    for name, content in (("a.mp4", b"text"), ("a.exe", b"MZ"), ("a.mp4", b"")):
        answer = running.http.post("/drivers", files={"video": (name, content)})
        assert answer.status_code == 422, answer.text
        assert answer.json()["detail"].startswith(f"{name} is "), answer.text
    assert not list((running.settings.home / "drivers").glob("*.exe"))


@pytest.mark.parametrize("name", ["voice.wav", "voice.mp4", "voice", "phone.3gp"])
def test_a_driver_is_taken_by_what_it_holds(running: GatewayStudio, tmp_path: Path, name: str) -> None:
    content = clip(tmp_path / "a.mp4") if name == "phone.3gp" else wav(tone(0.5))
    made = running.http.post("/drivers", files={"video": (name, content)}).json()
    row = next(row for row in running.http.get("/drivers").json() if row["word"] == made["driver"])
    assert row["title"] == name and row["detail"] != "recorded motion"
    assert running.http.delete(f"/drivers/{made['id']}").status_code == 204


def _drives(running: GatewayStudio, stored: Path) -> bool:
    scene = running.channel.scene
    return scene is not None and scene.driver == f"motion:{stored}"


def test_an_uploaded_template_is_a_driver_and_says_what_it_is(running: GatewayStudio, tmp_path: Path) -> None:
    template().save(tmp_path / "walk.npz")
    original = published(tmp_path / "walk.pkl", template())
    for path in (tmp_path / "walk.npz", original):
        made = running.http.post("/drivers", files={"video": (path.name, path.read_bytes())}).json()
        row = next(row for row in running.http.get("/drivers").json() if row["word"] == made["driver"])
        assert row == {"word": made["driver"], "title": path.name, "detail": "recorded motion", "unavailable": ""}
        stored = running.settings.home / "drivers" / f"{made['id']}{path.suffix}"
        running.patch(driver=made["driver"])
        running.wait(partial(_drives, running, stored))
        assert running.state()["program"]["by_template"]
        refused = running.http.post("/channels/main/neutral/retake")
        assert refused.status_code == 409 and "neutral face of recorded motion" in refused.json()["detail"]
        running.patch(driver="sample")
        assert running.http.delete(f"/drivers/{made['id']}").status_code == 204


def test_what_is_no_template_is_refused_by_its_owners_name(running: GatewayStudio, tmp_path: Path) -> None:
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Evil()))
    np.savez(tmp_path / "foreign.npz", frames=np.zeros(3))
    for path in (tmp_path / "evil.pkl", tmp_path / "foreign.npz"):
        answer = running.http.post("/drivers", files={"video": (path.name, path.read_bytes())})
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith(f"{path.name} is not a motion template; "), answer.text
    folder = running.settings.home / "drivers"
    assert not [path for path in folder.glob("*") if path.suffix in (".npz", ".pkl")]


def test_metrics_are_prometheus_text(running: GatewayStudio) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    text = running.stranger.get(f"http://{running.address}/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    stages = {sample.labels["stage"] for sample in families["studio_stage_fps"].samples}
    assert stages == {"capture", "generator", "compositor", "gateway"}
    assert "studio_preview_bytes" in families and "studio_channel_state" in families
    assert running.token not in text


def test_metrics_tell_the_engines_quality_and_delay(own: GatewayStudio) -> None:
    metrics = f"http://{own.address}/metrics"
    own.wait(lambda: 'studio_engine_quality{quality="half"} 1.0' in own.stranger.get(metrics).text)
    assert "\nstudio_engine_delay_milliseconds " not in own.stranger.get(metrics).text, "there is none"
    delay = {"frames": 4, "calls": 4, "interval_ms": 40.0, "call_ms": 70.0, "floor_ms": 670.0, "ms": 712.0}
    own.channel.meters["generator"].facts |= {"delay": delay}
    own.wait(lambda: "\nstudio_engine_delay_milliseconds 712.0" in own.stranger.get(metrics).text)
    assert "\nstudio_engine_delay_floor_milliseconds 670.0" in own.stranger.get(metrics).text


def test_speech_for_an_engine_that_does_not_listen_names_those_that_do(own: GatewayStudio) -> None:
    facts = own.channel.meters["generator"].facts
    own.wait(lambda: own.http.get("/engines").json())
    own.patch(engine="mesh", driver="sample")
    rows = {"mesh": {"title": "Deaf", "inputs": ["motion"]}, "ear": {"title": "Ear", "inputs": ["motion", "voice"]}}
    facts["engines"] = rows
    own.wait(lambda: {row["title"] for row in own.http.get("/engines").json()} == {"Deaf", "Ear"})
    speech = {"audio": ("speech.wav", wav(tone(0.2, rate=16_000), 16_000))}
    refused = own.http.post("/channels/main/speech", files=speech)
    assert refused.status_code == 409, refused.text
    assert refused.json()["detail"] == "The engine mesh is not driven by a voice; choose ear first."
    assert own.state()["scene"]["driver"] == "sample"


def test_an_engine_that_makes_clips_is_not_put_on_air(own: GatewayStudio) -> None:
    own.wait(lambda: own.http.get("/engines").json())
    was = own.state()["scene"]["engine"]
    facts = own.channel.meters["generator"].facts
    before = facts["engines"]
    facts["engines"] = {
        was: {"title": "Mesh warp", "inputs": ["motion"], "modes": ["live", "offline"]},
        "clips": {"title": "Clips", "inputs": ["voice"], "modes": ["offline"]},
    }
    own.wait(lambda: ["offline"] in [row["modes"] for row in own.http.get("/engines").json()])
    refused = own.http.patch("/channels/main/scene", json={"engine": "clips"})
    facts["engines"] = before
    assert refused.status_code == 409 and refused.json()["detail"].startswith(
        "Clips only makes whole clips and cannot run live;"
    )
    assert own.state()["scene"]["engine"] == was


def test_page_and_api_page_call_no_other_host(running: GatewayStudio) -> None:
    page = (
        running.stranger.get(f"http://{running.address}/").text
        + running.stranger.get(f"http://{running.address}/api/v1/docs").text
    )
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page)
    assert "<script>" not in page and "style=" not in page


def test_recordings_are_fetched_by_id_and_never_by_path(running: GatewayStudio) -> None:
    for name in ("..%2f..%2ftoken", "token", "main-20260101-000000", "..", "main-20260101-000000%00"):
        assert running.http.get(f"/recordings/{name}").status_code == 404


def test_an_avatar_is_shown_once_it_has_been_removed_no_more(running: GatewayStudio) -> None:
    folder = running.settings.home / "avatars" / "gone"
    folder.mkdir()
    (folder / "avatar.json").write_text('{"schema": 1, "name": "gone", "rights": "x"}', encoding="utf-8")
    cv2.imwrite(str(folder / "thumb.jpg"), image(64, 64))
    assert "gone" in {row["name"] for row in running.state()["avatars"]}
    assert running.http.delete("/avatars/gone").status_code == 204
    assert "gone" not in {row["name"] for row in running.state()["avatars"]}
