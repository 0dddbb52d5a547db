"""What was said so far, and what the host knows: the messages that the chat server is given."""

import asyncio
from collections import deque
from pathlib import Path

from shared.config.conversation import ConversationSettings
from shared.errors import StudioError

MOST_LINES = 40
MOST_CHARACTERS = 16_000  # of all lines; the oldest are forgotten first
MOST_KNOWLEDGE_BYTES = 32 << 10


class History:
    """The lines of persons and host, oldest first: of the host what was heard."""

    def __init__(self) -> None:
        self._lines: deque[tuple[str, str]] = deque(maxlen=MOST_LINES)

    def add_person(self, text: str) -> None:
        """A person has spoken."""
        self._add("user", text)

    def add_host(self, text: str) -> None:
        """The host was heard; an answer of which nothing was heard makes no line."""
        if text:
            self._add("assistant", text)

    @property
    def is_unanswered(self) -> bool:
        """Whether the last line is a person's."""
        return bool(self._lines) and self._lines[-1][0] == "user"

    def drop_unanswered(self) -> None:
        """What a person said last will have no answer."""
        if self.is_unanswered:
            self._lines.pop()

    def _add(self, role: str, text: str) -> None:
        # What was said before there was an answer to it is one question: some models take no two of one role.
        if self._lines and self._lines[-1][0] == role:
            text = f"{self._lines.pop()[1]}\n{text}"
        self._lines.append((role, text[-MOST_CHARACTERS:]))
        while sum(len(each) for _, each in self._lines) > MOST_CHARACTERS:
            self._lines.popleft()

    def forget(self) -> None:
        """Another person talks now, whom what was said so far does not concern."""
        self._lines.clear()

    async def messages(self, settings: ConversationSettings) -> list[dict[str, str]]:
        """What the chat server is given. Raises StudioError where the file that the host knows cannot be read."""
        system = settings.system_prompt
        if settings.knowledge is not None:
            known = await asyncio.to_thread(knowledge, settings.knowledge)
            system = (
                f"{system}\n\nThis is what you know. Say that you do not know what is not in it:\n\n{known}".lstrip()
            )
        lines = list(self._lines)
        while lines and lines[0][0] == "assistant":  # an answer to what was forgotten
            del lines[0]
        head = [{"role": "system", "content": system}] if system else []
        return head + [{"role": role, "content": text} for role, text in lines]


def knowledge(path: Path) -> str:
    """The text that the host knows. Raises StudioError."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_KNOWLEDGE_BYTES + 1)
    except OSError as error:
        raise StudioError(
            f"What the host knows cannot be read from {path} ({error.strerror}); check the file."
        ) from None
    if len(data) > MOST_KNOWLEDGE_BYTES:
        raise StudioError(
            f"{path} has more than {MOST_KNOWLEDGE_BYTES >> 10} KB; shorten it, it goes with every question."
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise StudioError(f"{path} is no UTF-8 text; save it as one.") from None
    if "\0" in text:
        raise StudioError(f"{path} is not a text file; give a plain text or Markdown file.")
    return text.strip()
