"""The studio's own Redis: reachable on loopback alone, found by other processes, with data that outlives it."""

import base64
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

import psutil
import pytest
import redis

from services.local.redis_server import APPENDED, APPENDED_FOLDER, RedisServer
from shared.config.settings import load_settings
from shared.errors import StudioError
from shared.jobs.queue import connect
from shared.jobs.redis_address import own_redis, redis_url
from tests.support.jobs.farm import wait_ended

# The append-only file of Redis 6.2 in an older release: a rewritten part, and a command appended to it.
OLD_FILE = base64.b64decode(
    "UkVESVMwMDA5+glyZWRpcy12ZXIGNi4yLjE0+gpyZWRpcy1iaXRzwED6BWN0aW1lwvjrC2v6CHVzZWQtbWVtwuAqDgD6DGFvZi1wcmVhbWJsZcAB/gD7"
    "AgANB3VuYWNrZWQjIwAAAA8AAAACAAADdGFnBRFhIG1lc3NhZ2UgYXQgd29ya/8OBmNlbGVyeQEeHgAAAAoAAAABAAARYSB3YWl0aW5nIG1lc3NhZ2X/"
    "/0r8VBl5m0JrKjINCiQ2DQpTRUxFQ1QNCiQxDQowDQoqMw0KJDMNClNFVA0KJDQNCnRvbGQNCiQzDQp5ZXMNCg=="
)


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url)


def test_it_keeps_what_it_was_told_and_its_address(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        assert own_redis(tmp_path) == server.url == redis_url(load_settings(home=tmp_path))
        with _client(server.url) as client:
            client.set("told", "yes")
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            time.sleep(1.1)
            server.restart_if_dead()
            assert own_redis(tmp_path) == server.url
            assert client.get("told") == b"yes"
        before = server.url
    assert own_redis(tmp_path) is None
    with RedisServer(tmp_path) as server, _client(server.url) as client:
        assert server.url.split("@")[0] == before.split("@")[0]
        assert client.get("told") == b"yes"


def test_only_this_user_on_this_machine_gets_in(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        with pytest.raises(redis.AuthenticationError), redis.Redis(port=server._port) as client:
            client.ping()
        with _client(server.url) as client:
            assert cast(dict[str, str], client.config_get("bind"))["bind"] == "127.0.0.1"
        for name in ("redis.json", "redis.conf", "password", "lock"):
            assert stat.S_IMODE((tmp_path / "redis" / name).stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "redis").stat().st_mode) == 0o700
        shown = Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
        assert server._password.encode() not in shown
        with pytest.raises(StudioError, match="Another studio"):
            RedisServer(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "garbage"])
def test_a_damaged_file_does_not_stop_it(tmp_path: Path, damage: str) -> None:
    with RedisServer(tmp_path) as server, _client(server.url) as client:
        for number in range(20):
            client.set(f"key{number}", "value")
    (kept,) = (tmp_path / "redis" / APPENDED_FOLDER).glob("*.incr.aof")
    raw = kept.read_bytes()
    kept.write_bytes(raw[:-7] if damage == "cut" else raw[:40] + b"\0 no redis wrote this \r\n" + raw[60:])
    with RedisServer(tmp_path) as server, _client(server.url) as client:
        assert client.get("key3") == (b"value" if damage == "cut" else None)
        assert client.set("key20", "value")


def test_it_reads_what_an_older_release_kept(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir(mode=0o700)
    (tmp_path / "redis" / APPENDED).write_bytes(OLD_FILE)
    for _ in range(2):
        with RedisServer(tmp_path) as server, _client(server.url) as client:
            assert client.lrange("celery", 0, -1) == [b"a waiting message"]
            assert client.hgetall("unacked") == {b"tag": b"a message at work"}
            assert client.get("told") == b"yes"


def test_a_damaged_file_of_an_older_release_does_not_stop_it_twice(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir(mode=0o700)
    for _ in range(2):
        (folder / APPENDED).write_bytes(OLD_FILE[:60] + b"\0" * 40 + OLD_FILE[100:])
        for left in folder.glob(f"{APPENDED_FOLDER}/*"):
            left.unlink()
        with RedisServer(tmp_path) as server, _client(server.url) as client:
            assert client.get("told") is None


def test_it_dies_with_its_owner_and_the_next_one_takes_over(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from services.local.redis_server import RedisServer\n"
        "server = RedisServer(Path(sys.argv[1])); print(server.process.pid, flush=True); time.sleep(3600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, encoding="utf-8"
    ) as owner:
        assert owner.stdout is not None
        server = psutil.Process(int(owner.stdout.readline()))
        assert own_redis(tmp_path)
        owner.kill()
    wait_ended([server], "Redis ends with its owner")
    assert (tmp_path / "redis" / "redis.json").exists()
    assert own_redis(tmp_path) is None, "a stale address was believed"
    with RedisServer(tmp_path) as own:
        assert own_redis(tmp_path) == own.url


def test_the_plain_variable_names_it_and_the_password_stays_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:hush@farm.example:6380/3")
    settings = load_settings(home=tmp_path)
    assert redis_url(settings) == "redis://:hush@farm.example:6380/3"
    assert settings.shown()["redis_url"] == "redis://farm.example/***"
    assert "hush" not in repr(settings)
    assert "hush" not in str(settings.environment(secrets=False))
    monkeypatch.setenv("REDIS_URL", "farm.example")
    with pytest.raises(StudioError, match="redis_url") as error:
        load_settings(home=tmp_path)
    assert "farm.example" not in str(error.value).split("like")[0]
    assert os.environ["REDIS_URL"]


@pytest.mark.parametrize("name", ['a "quoted" home', "back\\slash", "spaced  out", "häuslich", "[x]"])
def test_redis_starts_in_a_home_of_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with RedisServer(tmp_path / name) as server, connect(server.url) as client:
        assert client.ping()
    assert (tmp_path / name / "redis").is_dir()
