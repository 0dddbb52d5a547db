"""Bytes of an agent's stream: complete, in order, in large pieces, and without blocking the event loop."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from livekit import rtc

from services.sessions import stream_bytes
from services.sessions.stream_bytes import PAUSE_S, StreamBytes
from tests.support.running.driven_loop import run_driven


class SentStream:
    """A stream whose chunks arrive at given times. fails: its sender aborts it at the end."""

    def __init__(self, chunks: list[tuple[float, bytes]], fails: bool = False) -> None:
        self._chunks, self._fails = chunks, fails
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for wait, chunk in self._chunks:
            if wait:
                await asyncio.sleep(wait)
            yield chunk
        if self._fails:
            raise rtc.StreamError("aborted")

    def close(self) -> None:
        self.closed = True


async def taken(stream: Any, most: int) -> list[bytes]:
    received = StreamBytes(stream)
    pieces = []
    while piece := await received.take(most, 1.0):
        pieces.append(piece)
    received.close()
    return pieces


def test_chunks_that_wait_together_are_taken_together() -> None:
    chunks = [(0.0, bytes([number] * 960)) for number in range(100)]
    pieces = run_driven(taken(SentStream(chunks), 32_768))
    assert b"".join(pieces) == b"".join(chunk for _, chunk in chunks)
    assert [len(piece) for piece in pieces] == [32_768, 32_768, 96_000 - 65_536]


def test_a_stream_that_is_too_far_ahead_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_bytes, "MAX_WAITING_BYTES", 10_000)
    stream = SentStream([(0.0, bytes([number] * 960)) for number in range(100)])
    pieces = run_driven(taken(stream, 32_768))
    assert b"".join(pieces) == b"".join(bytes([number] * 960) for number in range(10))
    assert stream.closed


def test_chunks_at_their_own_pace_are_taken_as_they_arrive() -> None:
    pieces = run_driven(taken(SentStream([(0.02, b"ab"), (0.02, b"cd"), (0.02, b"ef")]), 32_768))
    assert pieces == [b"ab", b"cd", b"ef"]


def test_other_tasks_run_between_two_pieces() -> None:
    async def run() -> list[float]:
        loop, at = asyncio.get_running_loop(), []

        async def note() -> None:
            while True:
                at.append(loop.time())
                await asyncio.sleep(PAUSE_S / 2)

        noting = asyncio.create_task(note())
        await taken(SentStream([(0.0, bytes(1000))]), 100)
        noting.cancel()
        return at

    assert len(run_driven(run())) >= 18  # ten pieces, nine pauses, two notes in each


@pytest.mark.parametrize("fails", [False, True])
def test_an_aborted_stream_ends_where_it_is(fails: bool) -> None:
    stream = SentStream([(0.0, b"abc")], fails)
    assert run_driven(taken(stream, 10)) == [b"abc"]
    assert stream.closed


def test_a_stream_that_stalls_is_reported_and_loses_nothing() -> None:
    async def run() -> bytes:
        received = StreamBytes(SentStream([(1.5, b"late")]))  # type: ignore[arg-type]
        with pytest.raises(TimeoutError):
            await received.take(10, 1.0)
        return await received.take(10, 1.0)

    assert run_driven(run()) == b"late"
