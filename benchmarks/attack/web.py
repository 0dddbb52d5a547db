"""Attack on the web API: requests from its own schema, bodies without a token, forged headers, idle connections."""

import resource
import socket
import string
import time
from typing import Any

import httpx2
import numpy as np

from benchmarks.attack.row import AttackRow, beside
from harness.channel import Studio

SEED = 19
TEXTS = [
    "", "a", "../..", "%00", "a\0b", "\ud7ff", "[/x]", "\x1b[2J", "x" * 5000, "http://x:99999/", "rtsp://h:70000/",
    "1e400",
    "sample", "main", "mesh", "-1", "null", "{}", "[" * 2000, "file:///etc/passwd", "\u202eabc",
    "camera:99999999999999999999",
]  # fmt: skip
KEPT = ("/recording", "/outputs")  # left out: a recording or an output that is stopped on request would look lost
BODY_BYTES = 8 << 20
FORGED = [
    {"X-Forwarded-Host": "127.0.0.1"}, {"X-Forwarded-Host": "evil.example"}, {"X-Forwarded-Prefix": "//evil.example"},
    {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": "/evil"},
    {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Port": "80"}, {"Forwarded": "host=evil.example;proto=http"},
    {"X-Forwarded-Proto": "gopher", "X-Forwarded-Port": "-1", "X-Forwarded-Host": "x" * 5000},
]  # fmt: skip


def requests(run: Studio, count: int) -> AttackRow:
    """Send `count` requests with a token to the schema's routes in turn.

    A status of 500 or no answer counts as lost.
    """
    row = AttackRow("requests from the schema")
    schema = httpx2.get(f"{run.base}/api/v1/openapi.json", headers=run._auth, timeout=10, trust_env=False).json()
    routes = [(path, method, about) for path, each in schema["paths"].items() for method, about in each.items()]
    routes = [row for row in routes if not row[0].endswith(KEPT)]
    generator = np.random.default_rng(SEED)
    with beside(run, row), httpx2.Client(base_url=run.base, timeout=60, trust_env=False) as client:
        for number in range(count):
            path, method, about = routes[number % len(routes)]
            row.tried += 1
            given = _given(generator, about)
            where = _filled(generator, path, known=method != "delete")
            try:
                answer = client.request(method.upper(), where, headers=run._auth, **given)
            except (httpx2.InvalidURL, UnicodeError):
                continue
            except httpx2.HTTPError as error:
                row.lost += 1
                row.wrong(f"{method} {path}: {type(error).__name__}")
                continue
            if answer.status_code == 500:
                row.lost += 1
                row.wrong(f"{method} {path}: {answer.status_code}")
    return row


def bodies(run: Studio, count: int) -> AttackRow:
    """Send `count` large bodies without a token; each must be refused before it is read."""
    row = AttackRow("bodies without a token")
    with beside(run, row):
        for _ in range(count):
            row.tried += 1
            try:
                answer = httpx2.post(
                    f"{run.base}/api/v1/channels/main/speech", content=b"[" * BODY_BYTES, timeout=20, trust_env=False,
                    headers={"content-type": "application/json"},
                )  # fmt: skip
                if answer.status_code not in (401, 413):
                    row.wrong(f"a body without a token: {answer.status_code}")
            except httpx2.HTTPError:
                pass  # closed while it was still being sent
    return row


def forged(run: Studio, count: int) -> AttackRow:
    """Send `count` requests with forged proxy headers to a studio that trusts no proxy.

    Foreign host names and origins must stay refused, and no answer may contain a forged value.
    """
    row = AttackRow("forged X-Forwarded headers")
    port = run.base.rpartition(":")[2]
    with beside(run, row), httpx2.Client(base_url=run.base, timeout=20, trust_env=False) as client:
        for number in range(count):
            row.tried += 1
            claimed = FORGED[number % len(FORGED)]
            host, origin = (
                ("evil.example", None),
                (f"127.0.0.1:{port}", "http://evil.example"),
                (f"127.0.0.1:{port}", None),
            )[number % 3]
            headers = run._auth | claimed | {"Host": host} | ({"Origin": origin} if origin else {})
            answer = client.patch("/api/v1/channels/main/scene", json={}, headers=headers)
            page = client.get("/", headers=claimed | {"Host": host})
            wanted = (421, 421) if host == "evil.example" else (403 if origin else 200, 200)
            if (answer.status_code, page.status_code) != wanted or (
                page.status_code == 200 and "evil" in page.text + str(page.headers)
            ):
                row.lost += page.status_code == 200 and wanted[1] != 200
                row.wrong(f"{', '.join(claimed)}: {answer.status_code} and {page.status_code} in place of {wanted}")
    return row


def connections(run: Studio, count: int) -> AttackRow:
    """Open `count` connections together that send nothing or half a request; afterwards the API must answer."""
    row = AttackRow("idle connections")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 512)), hard))
    host, _, port = run.base.removeprefix("http://").rpartition(":")
    opened: list[socket.socket] = []
    try:
        with beside(run, row):
            for number in range(count):
                try:
                    each = socket.create_connection((host.strip("[]"), int(port)), timeout=5)
                    opened.append(each)
                    if number % 3:
                        each.sendall(b"GET /api/v1/version HTTP/1.1\r\nHost: 127.0.0.1\r\n")
                except OSError:
                    pass  # refused above the limit
                row.tried += 1
            time.sleep(1.0)
            for each in opened:
                each.close()
            opened.clear()
            _answers(run, row)
    finally:
        for each in opened:
            each.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return row


def _answers(run: Studio, row: AttackRow) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if run.state():
            return
        time.sleep(0.2)
    row.lost += 1
    row.wrong("the API does not answer after the connections are gone")


def _filled(generator: np.random.Generator, path: str, known: bool) -> str:
    """Return the path with its parameters filled in: with odd text or, if `known`, half of them with existing names."""
    while "{" in path:
        before, _, rest = path.partition("{")
        name, _, after = rest.partition("}")
        there = {"channel": "main", "name": "sample", "engine": "mesh"}.get(name, "a")
        value = there if known and generator.random() < 0.5 else _text(generator)
        quoted = "".join(
            c if c in string.ascii_letters + string.digits else f"%{ord(c) & 255:02x}" for c in value[:200]
        )
        path = before + (quoted or "a") + after
    return path


def _given(generator: np.random.Generator, about: dict[str, Any]) -> dict[str, Any]:
    forms = about.get("requestBody", {}).get("content", {})
    if not forms:
        return {}
    match int(generator.integers(4)):
        case 0:
            return {"content": generator.bytes(int(generator.integers(0, 4000)))}
        case 1 if any("multipart" in form for form in forms):
            names = (
                "name",
                "rights",
                "portrait",
                "body",
                "video",
                "sound",
                "avatar",
                "driver",
                "fps",
                "size",
                "options",
                "livekit_url",
                "livekit_token",
            )
            some = generator.choice(names, 3, replace=False)
            return {"files": {str(name): ("a.mp4", generator.bytes(300)) for name in some}}
        case _:
            return {"json": _value(generator, 0)}


def _value(generator: np.random.Generator, depth: int) -> Any:
    match int(generator.integers(8)):
        case 0 | 1 | 2 if depth < 4:
            names = [
                "driver",
                "avatar",
                "engine",
                "options",
                "label",
                "text",
                "url",
                "muted",
                "loop",
                "plate",
                _text(generator),
            ]
            some = generator.choice(np.array(names, object), 3, replace=False)
            return {str(name): _value(generator, depth + 1) for name in some}
        case 3 if depth < 4:
            return [_value(generator, depth + 1) for _ in range(3)]
        case 4:
            return int(generator.integers(-(1 << 62), 1 << 62))
        case 5:
            return bool(generator.integers(2)) or None
        case _:
            return _text(generator)


def _text(generator: np.random.Generator) -> str:
    return TEXTS[int(generator.integers(len(TEXTS)))]
