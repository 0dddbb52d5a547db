"""Attack on sessions: malformed voice streams, strangers that speak, sessions ended immediately, and kills."""

import asyncio
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from livekit import rtc

from benchmarks.attack.row import MEGABYTE, AttackRow
from benchmarks.sessions.ends import back_after_kill
from benchmarks.sessions.talking import TalkingAgents
from harness.channel import resident_bytes, wait_for
from harness.sessions.session_studio import SERVED_BY, SessionStudio, session_studio
from harness.sessions.voice_agent import AVATAR, VoiceAgent, buzz
from services.local.livekit_server import find_server

ODD_FORMS: tuple[dict[str, str], ...] = (
    {}, {"sample_rate": "24000"}, {"sample_rate": "0", "num_channels": "1"},
    {"sample_rate": "9" * 400, "num_channels": "1"},
    {"sample_rate": "24000", "num_channels": "7"}, {"sample_rate": "-24000", "num_channels": "1"},
)  # fmt: skip
FORM = {"sample_rate": "24000", "num_channels": "1"}
BACK_S = 3.0
WHOLE_S = 0.4
MOST_SESSIONS = 50


def guests(voices: int, requests: int, kills: int) -> Iterator[AttackRow]:
    """Attack sessions with odd voice streams and interrupts, with early ends, and with kills of their processes.

    voices: number of odd streams and interrupts to one session. requests: number of sessions that are ended before they
    have joined their rooms. kills: number of kills of each process that serves sessions.
    """
    if find_server() is None:
        yield AttackRow("sessions: there is no LiveKit server")
        return
    with session_studio(MOST_SESSIONS) as studio:
        _load(studio)
        yield _odd_voices(studio, voices)
        yield _taken_back(studio, requests)
        for service in ("sessions", "faces"):
            yield _kills(studio, service, kills)


def _load(studio: SessionStudio) -> None:
    """Run a first session until it sends frames, so that what its engine loads does not count as memory growth."""
    room = f"first-{uuid.uuid4().hex[:6]}"
    with TalkingAgents(studio) as agents:
        agent = agents.add(room, watching=True)
        session = studio.open_session(room)
        wait_for(lambda: len(agent.frames) > 50, 60, "an avatar")
        studio.end_session(session)


@contextmanager
def _watched(studio: SessionStudio, row: AttackRow, spared: tuple[str, ...] = SERVED_BY) -> Iterator[None]:
    pids = studio.pids()
    memory, began = {pid: resident_bytes(pid) for pid in pids.values()}, time.monotonic()
    yield
    row.seconds, after = time.monotonic() - began, studio.pids()
    row.died += sum(after.get(name) != pids[name] for name in spared)
    kept = [pid for name, pid in pids.items() if after.get(name) == pid]
    row.grew_mb = max([0.0, *((resident_bytes(pid) - memory[pid]) / MEGABYTE for pid in kept)])


def _odd_voices(studio: SessionStudio, count: int) -> AttackRow:
    row, room = AttackRow("odd voices to a session"), f"odd-{uuid.uuid4().hex[:6]}"
    session = studio.open_session(room)

    async def attack() -> None:
        agent, stranger = VoiceAgent(studio.server, room), VoiceAgent(studio.server, room, "stranger", watching=False)
        await agent.connect()
        await stranger.connect()
        try:
            await agent.until(lambda: len(agent.frames) > 5, 60)
            for number in range(count):
                await _odd(number, agent, stranger)
                row.tried += 1
            await agent.interrupt()
            agent.finished.clear()
            await agent.say(buzz(WHOLE_S))
            try:  # the report of the speech interrupted before, with a shorter time, may still arrive
                await agent.until(lambda: any(abs(heard - WHOLE_S) < 0.05 for heard, _ in agent.finished), 20)
            except AssertionError:
                row.lost += 1
                row.wrong(f"of {WHOLE_S} s it says that {[heard for heard, _ in agent.finished]} s were heard")
        except AssertionError:
            row.lost += 1
            row.wrong("the session does not show itself, or a stranger may interrupt")
        finally:
            await agent.close()
            await stranger.close()

    with _watched(studio, row):
        asyncio.run(attack())
    studio.end_session(session)
    return row


async def _odd(number: int, agent: VoiceAgent, stranger: VoiceAgent) -> None:
    match number % 6:
        case 0:
            await _stream(agent, ODD_FORMS[number // 6 % len(ODD_FORMS)], b"\1" * 500)
        case 1:
            await _stream(agent, FORM, bytes(range(1 + number % 7)))  # half a sample at its end
        case 2:
            await _stream(agent, FORM, b"\1" * 4000, whole=False)
        case 3:
            await _stream(stranger, FORM, b"\1" * 4000)
        case 4:
            try:
                await stranger.interrupt()
            except rtc.RpcError:
                return
            raise AssertionError("a stranger may interrupt")
        case _:
            await agent.interrupt()


async def _stream(agent: VoiceAgent, form: dict[str, str], data: bytes, *, whole: bool = True) -> None:
    writer = await agent.room.local_participant.stream_bytes(
        name="voice", topic="lk.audio_stream", destination_identities=[AVATAR], attributes=form
    )
    await writer.write(data)
    if whole:
        await writer.aclose()


def _taken_back(studio: SessionStudio, count: int) -> AttackRow:
    row = AttackRow("sessions ended at once")
    with _watched(studio, row):
        for _ in range(count):
            row.tried += 1
            studio.end_session(studio.open_session())
        try:
            wait_for(lambda: not studio.pulses()["sessions"].facts["sessions"], 60)
        except AssertionError:
            row.lost += 1
            row.wrong("sessions that were ended are still served")
    return row


def _kills(studio: SessionStudio, service: str, count: int) -> AttackRow:
    row, room = AttackRow(f"kills of {service}"), f"killed-{uuid.uuid4().hex[:6]}"
    with TalkingAgents(studio) as agents:
        agent = agents.add(room, watching=True)
        session = studio.open_session(room)
        wait_for(lambda: len(agent.frames) > 50, 60, "an avatar")
        with _watched(studio, row, tuple(name for name in SERVED_BY if name != service)):
            for _ in range(count):
                row.tried += 1
                try:
                    took = back_after_kill(studio, agent, session, service)
                except AssertionError:
                    row.lost += 1
                    row.wrong("the session was not back within 20 s")
                    break
                if took > BACK_S:
                    row.wrong(f"the session was back after {took:.1f} s")
        studio.end_session(session)
    return row
