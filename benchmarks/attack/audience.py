"""Attack by viewers who may not watch.

Forged, expired and revoked links, more viewers than a link allows, and garbage on the socket.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx2
import jwt
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from benchmarks.attack.row import AttackRow, beside
from harness.channel import Studio
from services.gateway.audience.links import WatchRefusal

SEED = 22
SEATS = 3
ANSWER_S = 20.0
TOLD = {refusal.code for refusal in WatchRefusal} | {4400}
GARBAGE = [
    "",
    "[" * 2000,
    "x" * 5000,
    "null",
    '{"ack": 1e999}',
    '{"plate": -1, "view": [0, 0]}',
    '{"mode": "full"}',
    "\0" * 300,
]


@dataclass
class _Attackers:
    """State of the attack: its links, and how its sockets ended.

    good, forged: link tokens. ends: number of sockets by close code; 0: refused, or ended without a code; -1: a forged
    token was let in. seated: viewers that watch at the moment.
    """

    address: str
    good: str
    forged: list[str]
    ends: dict[int, int] = field(default_factory=dict)
    seated: int = 0

    def note(self, code: int) -> None:
        self.ends[code] = self.ends.get(code, 0) + 1


def audience(run: Studio, count: int) -> AttackRow:
    """Attack with `count` viewers beyond a link's seats, as many forged links, and as many senders of garbage."""
    row = AttackRow("viewers who may not watch")
    url = f"{run.base}/api/v1/channels/{run.channel}/watch-links"
    with httpx2.Client(headers=run._auth, timeout=20, trust_env=False) as http:
        made = http.post(url, json={"viewers": SEATS, "expires_s": 3600}).json()
        gone = http.post(url, json={}).json()
        http.delete(f"{url}/{gone['id']}")
        good, revoked = (each["url"].partition("#link=")[2] for each in (made, gone))
        attackers = _Attackers(
            f"{run.base.replace('http', 'ws', 1)}/api/v1/channels/{run.channel}/watch", good, [*_forged(good), revoked]
        )
        with beside(run, row):
            asyncio.run(_attack(attackers, count))
            row.tried = sum(attackers.ends.values())
            if attackers.seated > SEATS:
                row.wrong(f"{attackers.seated} watched at a time by a link for {SEATS}")
            if odd := {code: number for code, number in attackers.ends.items() if code and code not in TOLD}:
                row.wrong(f"sockets ended by codes that say nothing: {odd}")
            http.delete(f"{url}/{made['id']}")
            deadline = time.monotonic() + ANSWER_S
            while (left := run.state().get("audience", {}).get("viewers")) != 0 and time.monotonic() < deadline:
                time.sleep(0.2)
            if left != 0:
                row.lost += 1
                row.wrong(f"{left} seats are taken after all have gone")
    return row


def _forged(token: str) -> list[str]:
    """Return link tokens that no studio has signed."""
    claims = jwt.decode(token, options={"verify_signature": False})
    head, body, signature = token.split(".")
    stale = claims | {"exp": 1}
    return [
        "", "a.b.c", token[:-4] + "AAAA", f"{head}.{body}.", f"{head}..{signature}", "\ud7ff" * 50, "A" * 1500,
        jwt.encode(claims, "guessed" * 8, algorithm="HS256"), jwt.encode(stale, "guessed" * 8, algorithm="HS256"),
        jwt.encode(claims, "", algorithm="none"),
    ]  # fmt: skip


async def _attack(attackers: _Attackers, count: int) -> None:
    generator = np.random.default_rng(SEED)
    kinds = (_crowd, _forger, _vandal)
    await asyncio.gather(
        *(kinds[number % 3](attackers, int(generator.integers(1 << 30))) for number in range(count * 3))
    )


async def _crowd(attackers: _Attackers, number: int) -> None:
    async with _socket(attackers, attackers.good) as socket:
        async with asyncio.timeout(ANSWER_S):
            await socket.recv()
        attackers.seated += 1
        try:
            await asyncio.sleep(0.5)
        finally:
            attackers.seated -= 1


async def _forger(attackers: _Attackers, number: int) -> None:
    async with _socket(attackers, attackers.forged[number % len(attackers.forged)]) as socket:
        async with asyncio.timeout(ANSWER_S):
            await socket.recv()
        attackers.note(-1)  # it was let in


async def _vandal(attackers: _Attackers, number: int) -> None:
    generator = np.random.default_rng(number)
    async with _socket(attackers, attackers.good) as socket:
        for _ in range(400):
            text = GARBAGE[int(generator.integers(len(GARBAGE)))]
            await socket.send(generator.bytes(2000) if generator.random() < 0.1 else text)


@contextlib.asynccontextmanager
async def _socket(attackers: _Attackers, token: str) -> AsyncIterator[ClientConnection]:
    """Open a socket, send the token, and note how the socket ends."""
    try:
        async with connect(attackers.address, max_size=None, compression=None, open_timeout=ANSWER_S) as socket:
            await socket.send(json.dumps({"token": token}))
            yield socket
        attackers.note(4400)
    except ConnectionClosed as closed:
        attackers.note(closed.rcvd.code if closed.rcvd else 0)
    except (OSError, InvalidHandshake, TimeoutError):
        attackers.note(0)
