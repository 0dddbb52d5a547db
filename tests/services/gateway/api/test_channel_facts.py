"""The metrics page and the channel's state: their content, which holds no secret, path or password."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from services.gateway.api import sockets
from services.gateway.api.snapshot import driver_title, uploads
from services.gateway.api.sockets import _state_text
from services.gateway.audience.links import WatchRefusal, WatchRefusedError
from services.gateway.channel import health
from services.gateway.channel.health import SERVICES
from shared.runtime.clock import now, tick_after, tick_pts
from shared.scene import Scene
from shared.uploaded_driver import TITLE_SUFFIX
from shared.wire.message import Message
from shared.wire.program import ProgramFrame
from shared.wire.pulse import Pulse
from tests.support.running.gateway import image, make_avatar
from tests.support.running.gateway_app import GatewayApp, gateway_app

pytestmark = pytest.mark.unit

SECRETS = ("r7mp-k3y", "l1vek1t-s3cret", "red1s-passw0rd", "c4mera-passw0rd")
LINE = re.compile(r'([a-z_]+(?:\{[a-z]+="[^"\n]*"(?:,[a-z]+="[^"\n]*")*\})?) (-?[0-9.e+-]+|NaN|\+Inf)')
DELAY = {"frames": 4, "calls": 2, "interval_ms": 40.0, "call_ms": 90.0, "floor_ms": 250.0, "ms": 260.5}
ENGINES = {
    "mesh": {"title": "Mesh warp", "modes": ["live"], "options": {"type": "object"}, "unavailable": ""},
    "odd": ["not", "a", "row"],
    "gone": {"title": 5, "modes": "live", "options": [], "unavailable": "Weights are missing."},
}


@pytest.fixture(scope="module")
def guarded() -> Iterator[GatewayApp]:
    """A gateway that holds one secret of every kind."""
    secrets: dict[str, Any] = {
        "rtmp_url": f"rtmp://operator:{SECRETS[0]}@127.0.0.1:24002/live/{SECRETS[0]}",
        "livekit_url": "wss://livekit.example",
        "livekit_api_key": "key",
        "livekit_api_secret": SECRETS[1],
        "redis_url": f"redis://:{SECRETS[2]}@127.0.0.1:24003/0",
        "driver": f"rtsp://camera:{SECRETS[3]}@192.168.0.9/stream?token={SECRETS[3]}",
    }
    at = now()
    pushes_nothing = Scene(driver=secrets["driver"])
    with pytest.MonkeyPatch.context() as patch, gateway_app(pushes_nothing, **secrets) as made:
        patch.setattr(health, "now", lambda: at)  # time stands still, so no service counts as silent
        make_avatar(made.gateway.settings.home, "mona", image(64, 64), frames=1)
        for name in SERVICES[:3]:
            hear(made, name)
        yield made


def hear(inside: GatewayApp, service: str, **changes: Any) -> None:
    told = Pulse(service, 7, 24.96, 20.0, 35.04, {"frame late": 3}, "live", "", 0, 5 << 20).as_dict()
    inside.gateway.health.receive_pulse(Message("pulse", "main", 0, 0, 0, 0, facts=told | changes))


def metrics(inside: GatewayApp) -> dict[str, float]:
    """Return the metrics page's values by name and labels; check that Prometheus can parse every line."""
    answer = inside.client.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    values: dict[str, float] = {}
    kinds: dict[str, str] = {}
    for line in answer.text.splitlines():
        if line.startswith("#"):
            _, word, name, rest = line.split(" ", 3)
            assert word in ("HELP", "TYPE") and rest
            if word == "TYPE":
                assert name not in kinds, "a family comes once"
                kinds[name] = rest
            continue
        found = LINE.fullmatch(line)
        assert found, line
        assert found[1] not in values and found[1].partition("{")[0] in kinds, line
        values[found[1]] = float(found[2])
    assert set(kinds.values()) <= {"gauge", "counter"}
    return values


def test_the_page_says_of_each_service_what_its_pulse_said(guarded: GatewayApp) -> None:
    values = metrics(guarded)
    for name in SERVICES[:3]:
        assert values[f'studio_stage_fps{{stage="{name}"}}'] == 25.0
        assert values[f'studio_stage_latency_milliseconds{{quantile="0.95",stage="{name}"}}'] == 35.0
        assert values[f'studio_stage_drops_total{{reason="frame late",stage="{name}"}}'] == 3
        assert values[f'studio_stage_up{{stage="{name}"}}'] == 1
        assert values[f'studio_stage_resident_bytes{{stage="{name}"}}'] == 5 << 20
    states = {name: value for name, value in values.items() if name.startswith("studio_channel_state")}
    assert len(states) == 5 and sum(states.values()) == 1


def test_a_reason_is_a_label_whatever_is_in_it(guarded: GatewayApp) -> None:
    hear(guarded, "capture", drops={'a"b\\c\nd} 1': 4})
    text = guarded.client.get("/metrics").text
    assert 'reason="a\\"b\\\\c\\nd} 1",stage="capture"} 4.0' in text
    hear(guarded, "capture")
    metrics(guarded)


def test_an_engines_delay_and_quality_are_there_while_it_says_them(guarded: GatewayApp) -> None:
    assert "studio_engine_delay_milliseconds" not in metrics(guarded)
    hear(guarded, "generator", facts={"delay": DELAY, "quality": {"name": "half", "title": "256 pixels"}})
    values = metrics(guarded)
    assert values["studio_engine_delay_milliseconds"] == 260.5
    assert values["studio_engine_delay_floor_milliseconds"] == 250
    assert values['studio_engine_quality{quality="half"}'] == 1
    state = guarded.get(guarded.channel)
    assert (
        state["engine"]["quality"] == {"name": "half", "title": "256 pixels"}
        and state["engine"]["delay"]["ms"] == 260.5
    )
    hear(guarded, "generator")


def test_viewers_that_were_turned_away_are_counted_by_reason(guarded: GatewayApp) -> None:
    seats = guarded.gateway.seats
    link = seats.make("", 60, 1)
    with pytest.raises(WatchRefusedError):
        seats.take("nonsense")
    values = metrics(guarded)
    assert values["studio_watch_links"] == 1
    away = {
        reason.name.lower(): values[f'studio_watch_turned_away_total{{reason="{reason.name.lower()}"}}']
        for reason in WatchRefusal
    }
    assert away == {reason: float(reason == "bad") for reason in away}
    seats.revoke(link.id)
    assert metrics(guarded)["studio_watch_links"] == 0


def test_without_redis_the_page_says_so_and_is_whole(guarded: GatewayApp) -> None:
    values = metrics(guarded)
    assert values["studio_jobs_redis_up"] == 0
    jobs = [value for name, value in values.items() if name.startswith("studio_jobs{")]
    assert jobs and sum(jobs) == 0


def test_the_page_needs_no_token_and_so_holds_nothing_that_does(guarded: GatewayApp) -> None:
    text = guarded.client.get("/metrics").text
    for secret in (*SECRETS, guarded.token, "192.168.0.9", str(guarded.gateway.settings.home), "mona"):
        assert secret not in text, secret


@pytest.mark.parametrize("path", ["", "/watch-links"])
def test_the_state_holds_no_secret_and_no_path(guarded: GatewayApp, path: str) -> None:
    guarded.gateway.scene_store.change(recording=str(guarded.gateway.settings.home / "recordings" / "main.mp4"))
    text = json.dumps(guarded.get(guarded.channel + path))
    for secret in (*SECRETS, guarded.token, str(guarded.gateway.settings.home), str(guarded.gateway.settings.run_root)):
        assert secret not in text, secret


def test_what_an_error_says_holds_no_secret_either(guarded: GatewayApp) -> None:
    """Errors about a push, a room and a jobs' Redis that cannot be reached show no secret."""
    answers = [guarded.client.get(path, headers=guarded.bearer).text for path in ("/api/v1/jobs", "/api/v1/drivers")]
    answers += [guarded.client.patch(f"{guarded.channel}/scene", json=changes, headers=guarded.bearer).text
                for changes in ({"driver": "as-started"}, {"driver": "camera:9999"}, {"rtmp": False})]  # fmt: skip
    for text in (*answers, *guarded.said(), repr(guarded.gateway.settings)):
        for secret in (*SECRETS[:3], guarded.token):
            assert secret not in text
    assert SECRETS[3] not in "".join((*answers, *guarded.said()))


def test_the_driver_is_shown_without_its_password(guarded: GatewayApp) -> None:
    state = guarded.get(guarded.channel)
    assert state["scene"]["driver"] == "as-started"
    (row,) = [row for row in state["drivers"] if row["word"] == "as-started"]
    assert row["title"] == "rtsp://192.168.0.9/stream (as started)"


@pytest.mark.parametrize(
    ("word", "title"),
    [
        ("https://user:key@host:8443/a.mp4?key=1", "https://host:8443/a.mp4"), ("http://user:key@host:99999/x", "http://"),
        ("http://user:key@[", "http://"), ("camera:x", "camera:x"), ("file:/home/me/secret plans/a.mp4", "a.mp4"),
    ],
)  # fmt: skip
def test_a_drivers_title_has_neither_password_nor_folder(word: str, title: str) -> None:
    assert driver_title(word) == title


def test_engines_are_shown_as_far_as_they_say_what_they_are(guarded: GatewayApp) -> None:
    hear(guarded, "generator", facts={"engines": ENGINES})
    rows = {row["name"]: row for row in guarded.get("/api/v1/engines")}
    assert set(rows) == set(ENGINES)
    assert rows["mesh"]["title"] == "Mesh warp" and rows["mesh"]["modes"] == ["live"]
    assert rows["odd"]["title"] == "" and rows["odd"]["options"] == {}
    assert rows["gone"]["modes"] == [] and rows["gone"]["unavailable"] == "Weights are missing."
    hear(guarded, "generator", facts={"engines": [1]})
    assert guarded.get("/api/v1/engines") == []
    hear(guarded, "generator")


def test_cameras_are_those_that_capture_found(guarded: GatewayApp) -> None:
    def cameras() -> dict[str, str]:
        rows = guarded.get("/api/v1/drivers")
        return {row["word"]: row["unavailable"] for row in rows if row["word"].startswith("camera")}

    assert list(cameras()) == ["camera:0"] and cameras()["camera:0"].startswith("No camera is connected")
    hear(guarded, "capture", facts={"cameras": [0, 2, "3", True, None]})
    assert cameras() == {"camera:0": "", "camera:2": ""}
    hear(guarded, "capture")


def test_avatars_are_whole_damaged_or_being_built(guarded: GatewayApp) -> None:
    folder = guarded.gateway.settings.home / "avatars" / "broken"
    folder.mkdir()
    (folder / "avatar.json").write_bytes(b"{")
    guarded.gateway.builds["new"] = None  # type: ignore[assignment]
    try:
        rows = {row["name"]: row for row in guarded.get("/api/v1/avatars")}
    finally:
        del guarded.gateway.builds["new"]
        (folder / "avatar.json").unlink()
        folder.rmdir()
    assert set(rows) == {"mona", "broken", "new"}
    assert rows["mona"]["unavailable"] == "" and rows["mona"]["kind"] == "portrait"
    assert rows["broken"]["unavailable"].endswith(".")


def test_uploads_are_files_of_the_names_that_uploads_have(guarded: GatewayApp) -> None:
    home = guarded.gateway.settings.home
    folder = home / "drivers"
    folder.mkdir()
    (folder / "00000000000000aa.mp4").symlink_to("gone")
    (folder / "00000000000000bb.mp4").mkdir()
    (folder / "00000000000000cc.\udcff").write_bytes(b"x")
    (folder / "sample.mp4").write_bytes(b"x")
    (folder / "00000000000000dd.mp4").write_bytes(b"x")
    (folder / f"00000000000000dd{TITLE_SUFFIX}").write_text("a title\nof two lines\x1b[2J", encoding="utf-8")
    assert [path.name for path in uploads(home)] == ["00000000000000dd.mp4"]
    titles = {row["word"]: row["title"] for row in guarded.get("/api/v1/drivers")}
    assert titles["upload:00000000000000dd"] == "a title\\nof two lines\\x1b[2J"
    assert {row["word"]: row["unavailable"] for row in guarded.get("/api/v1/drivers")}["sample"] == ""


def test_the_frame_on_air_is_described(guarded: GatewayApp) -> None:
    feed, rate, begun = guarded.gateway.feed, Fraction(25), now()
    tick = tick_after(begun, rate)
    shown = ProgramFrame(tick, tick_pts(tick, rate), np.zeros((96, 64), np.uint8), "mona", 0, None, False, "live", 0)
    assert feed.frame(shown)
    program = guarded.get(guarded.channel)["program"]
    assert (program["width"], program["height"], program["avatar"], program["state"]) == (64, 64, "mona", "live")
    assert program["by_voice"] is False and program["by_template"] is False
    assert 0 <= program["age"] <= round((now() - begun) / 1e6, 2)


def test_outputs_say_what_they_lack(inside: GatewayApp) -> None:
    state = inside.get(inside.channel)
    assert state["outputs"]["rtmp"]["unavailable"].startswith("There is no address: set rtmp_url")
    assert state["outputs"]["livekit"]["unavailable"] and state["clean_feed"]["unavailable"]
    assert state["outputs"]["record"]["state"] == "off" and state["sessions"] is None


def test_the_state_is_made_once_for_all_pages(inside: GatewayApp, monkeypatch: pytest.MonkeyPatch) -> None:
    at = time.monotonic()
    monkeypatch.setattr(sockets, "time", SimpleNamespace(monotonic=lambda: at))

    async def twice() -> tuple[str, str]:
        return _state_text(inside.gateway), _state_text(inside.gateway)

    first, second = asyncio.run(twice())
    assert first is second
    at += sockets.STATE_SHARED_S + 0.01
    third, _ = asyncio.run(twice())
    assert third is not second
