"""The sessions of one engine in one thread.

What several of them have heard is drawn in one call, where the engine can.
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

HEARD_BLOCKS = 75  # blocks of voice that may wait for a session; beyond that it continues at the present
NEWEST_SAMPLES = SOUND_RATE_HZ * 4 // 25  # of the voice that waits whose faces are drawn; those before are late already
MADE_FRAMES = 500  # frames that may wait to be sent, of all sessions


@dataclass(slots=True)
class BatchMember:
    """A session of the batch. heard: what it has not been given yet."""

    session: GuardedSession
    avatar: str
    heard: deque[VoiceBlock] = field(default_factory=lambda: deque(maxlen=HEARD_BLOCKS))


@dataclass(frozen=True, slots=True)
class MadeFace:
    """A face of one session, drawn and not yet sent."""

    session: str
    avatar: str
    frame: RoiFrame


class BatchThread:
    """The thread of one engine. Every public method is called by the loop's thread.

    work: how much of its time the thread draws. calls, drawn: how often it has drawn, and for how many sessions in sum.
    """

    def __init__(self, engine: FrameEngine, done: Callable[[], None]) -> None:
        """done: called, in the thread, when faces were made or a session failed."""
        self.engine, self._done = engine, done
        self._guard = threading.Condition()  # of all that follows
        self._members: dict[str, BatchMember] = {}
        self._made: deque[MadeFace] = deque(maxlen=MADE_FRAMES)
        self._failed: dict[str, str] = {}
        self._drops: Counter[str] = Counter()
        self._stopping = False
        self.work = WorkShare()
        self.calls = self.drawn = 0
        threading.Thread(target=self._run, name=f"faces of {engine.info.name}", daemon=True).start()

    def add(self, session: str, opened: OpenedSession) -> None:
        """A session that was opened with this thread's engine."""
        assert isinstance(opened.session, GuardedSession)
        with self._guard:
            self._members[session] = BatchMember(opened.session, opened.avatar.name)

    def remove(self, session: str) -> bool:
        """Let a session go, open or not; returns whether any is left."""
        with self._guard:
            self._members.pop(session, None)
            return bool(self._members)

    def hear(self, session: str, block: VoiceBlock) -> None:
        """A stretch of a session's voice. A block that does not follow the last one takes its place."""
        with self._guard:
            if (member := self._members.get(session)) is None:
                return
            if member.heard and not _follows(member.heard[-1], block):
                member.heard.clear()  # what it would have said from there on is not said
            self._drops["voice block skipped"] += len(member.heard) == HEARD_BLOCKS
            member.heard.append(block)
            self._guard.notify()

    def taken_faces(self) -> list[MadeFace]:
        """Faces made since the last call, in order."""
        with self._guard:
            made = list(self._made)
            self._made.clear()
            return made

    def taken_failures(self) -> Mapping[str, str]:
        """Sessions that have failed since the last call, and why; they are no longer members."""
        with self._guard:
            failed, self._failed = self._failed, {}
            return failed

    def counted(self) -> Counter[str]:
        """Drops by reason since the last call."""
        with self._guard:
            drops, self._drops = self._drops, Counter()
            return drops

    def close(self) -> None:
        """The thread ends after what it is doing, which is not waited for."""
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
        except Exception:  # another's code; which session it was is found one by one
            return [self._heard_alone(*each) for each in batch]

    def _newest(self, member: BatchMember, block: VoiceBlock) -> VoiceBlock:
        """The part of a block that is drawn.

        What is too old is heard and not drawn: an engine that is too slow for its sessions would fall behind
        further and further.
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
        """Wait until some session has heard something; what each of them has. Nothing at the end."""
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
    """Everything that waits, as one block; a block that does not follow replaces what was before it."""
    blocks = list(member.heard)
    member.heard.clear()
    return VoiceBlock(blocks[0].pts, np.concatenate([each.samples for each in blocks]))


def _follows(before: VoiceBlock, after: VoiceBlock) -> bool:
    return round(before.pts * SOUND_RATE_HZ / US) + len(before.samples) == round(after.pts * SOUND_RATE_HZ / US)
