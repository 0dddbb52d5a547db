"""A thread that runs all sessions of one engine.

The voice of several sessions is drawn in one call where the engine supports it.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engines.api import FrameEngine, RoiFrame, VoiceBlock
from engines.guarded import GuardedSession, hear_together
from services.generator.session_opener import OpenedSession
from shared.errors import StudioError
from shared.runtime.clock import SOUND_RATE_HZ, US
from shared.runtime.work_share import WorkShare

HEARD_BLOCKS = 75  # voice blocks that may wait for a session; further ones replace the oldest
# Faces are drawn for this much of the newest waiting voice; those for older voice would be late.
NEWEST_SAMPLES = SOUND_RATE_HZ * 4 // 25
MADE_FRAMES = 500  # frames that may wait to be sent, all sessions together


@dataclass(slots=True)
class BatchMember:
    """A session of the batch. heard: voice blocks that it has not processed yet."""

    session: GuardedSession
    avatar: str
    heard: deque[VoiceBlock] = field(default_factory=lambda: deque(maxlen=HEARD_BLOCKS))


@dataclass(frozen=True, slots=True)
class MadeFace:
    """A drawn face of one session that has not been sent yet. session: its id. avatar: its name."""

    session: str
    avatar: str
    frame: RoiFrame


class BatchThread:
    """The thread of one engine. All public methods are called from the loop's thread.

    work: the share of time that the thread spends drawing. calls: number of draw calls so far; drawn: number of
    sessions drawn in all of them together.
    """

    def __init__(self, engine: FrameEngine, done: Callable[[], None]) -> None:
        """done: called in the thread when faces are ready or a session has failed."""
        self.engine, self._done = engine, done
        self._guard = threading.Condition()  # protects all attributes below
        self._members: dict[str, BatchMember] = {}
        self._made: deque[MadeFace] = deque(maxlen=MADE_FRAMES)
        self._failed: dict[str, str] = {}
        self._drops: Counter[str] = Counter()
        self._stopping = False
        self.work = WorkShare()
        self.calls = self.drawn = 0
        threading.Thread(target=self._run, name=f"faces of {engine.info.name}", daemon=True).start()

    def add(self, session: str, opened: OpenedSession) -> None:
        """Add a session that was opened with this thread's engine."""
        assert isinstance(opened.session, GuardedSession)
        with self._guard:
            self._members[session] = BatchMember(opened.session, opened.avatar.name)

    def remove(self, session: str) -> bool:
        """Remove a session, if it is a member; returns whether any session is left."""
        with self._guard:
            self._members.pop(session, None)
            return bool(self._members)

    def hear(self, session: str, block: VoiceBlock) -> None:
        """Queue a block of a session's voice. A block that does not follow the last one replaces all waiting blocks."""
        with self._guard:
            if (member := self._members.get(session)) is None:
                return
            if member.heard and not _follows(member.heard[-1], block):
                member.heard.clear()  # the earlier voice was interrupted
            self._drops["voice block skipped"] += len(member.heard) == HEARD_BLOCKS
            member.heard.append(block)
            self._guard.notify()

    def taken_faces(self) -> list[MadeFace]:
        """Take the faces drawn since the last call, in order."""
        with self._guard:
            made = list(self._made)
            self._made.clear()
            return made

    def taken_failures(self) -> Mapping[str, str]:
        """Take the sessions that failed since the last call, with the reason of each; they are no longer members."""
        with self._guard:
            failed, self._failed = self._failed, {}
            return failed

    def counted(self) -> Counter[str]:
        """Take the numbers of drops since the last call, by reason."""
        with self._guard:
            drops, self._drops = self._drops, Counter()
            return drops

    def close(self) -> None:
        """Ask the thread to stop after its current work; does not wait for it."""
        with self._guard:
            self._stopping = True
            self._guard.notify()

    def _run(self) -> None:
        while batch := self._next_batch():
            with self.work:
                drawn = self._drawn(batch)
            with self._guard:
                self.calls, self.drawn = self.calls + 1, self.drawn + len(batch)
                for (name, member, _), frames in zip(batch, drawn, strict=True):
                    if self._members.get(name) is not member:
                        continue  # closed meanwhile
                    for frame in frames:
                        self._drops["face late"] += len(self._made) == MADE_FRAMES
                        self._made.append(MadeFace(name, member.avatar, frame))
            self._done()

    def _drawn(self, batch: "Sequence[tuple[str, BatchMember, VoiceBlock]]") -> list[list[RoiFrame]]:
        sessions = [member.session for _, member, _ in batch]
        try:
            return hear_together(self.engine, sessions, [self._newest(member, block) for _, member, block in batch])
        except Exception:  # the engine's own code failed: find the failing session by calling each alone
            return [self._heard_alone(*each) for each in batch]

    def _newest(self, member: BatchMember, block: VoiceBlock) -> VoiceBlock:
        """Return the part of a block that is drawn, its last NEWEST_SAMPLES samples.

        The session processes the part before it without drawing. Otherwise an engine that is too slow for its sessions
        would fall further and further behind.
        """
        past = len(block.samples) - NEWEST_SAMPLES
        if past <= 0:
            return block
        member.session.draws = False
        try:
            missed = member.session.hear(VoiceBlock(block.pts, block.samples[:past]))
        finally:
            member.session.draws = True
        with self._guard:
            self._drops["face skipped"] += len(missed)
        return VoiceBlock(block.pts + past * US // SOUND_RATE_HZ, block.samples[past:])

    def _next_batch(self) -> "Sequence[tuple[str, BatchMember, VoiceBlock]]":
        """Wait for voice and return (id, member, block) of every session that has some; [] when the thread stops."""
        with self._guard:
            while not self._stopping:
                if batch := [(name, each, _next(each)) for name, each in self._members.items() if each.heard]:
                    return batch
                self._guard.wait()
        return []

    def _heard_alone(self, name: str, member: BatchMember, block: VoiceBlock) -> list[RoiFrame]:
        try:
            return member.session.hear(block)
        except StudioError as error:
            with self._guard:
                self._members.pop(name, None)
                self._failed[name] = str(error)
            return []


def _next(member: BatchMember) -> VoiceBlock:
    """Take a member's waiting blocks as one block; `BatchThread.hear` keeps them contiguous."""
    blocks = list(member.heard)
    member.heard.clear()
    return VoiceBlock(blocks[0].pts, np.concatenate([each.samples for each in blocks]))


def _follows(before: VoiceBlock, after: VoiceBlock) -> bool:
    return round(before.pts * SOUND_RATE_HZ / US) + len(before.samples) == round(after.pts * SOUND_RATE_HZ / US)
