"""The messages for the chat server: system prompt, the host's knowledge, and the conversation so far."""

import asyncio
from collections import deque
from pathlib import Path

from shared.config.conversation import ConversationSettings
from shared.errors import StudioError

MOST_LINES = 40
MOST_CHARACTERS = 16_000  # total of all lines; the oldest are dropped first
MOST_KNOWLEDGE_BYTES = 32 << 10


class History:
    """The lines of persons and host, oldest first. The host's lines have only the text that was heard."""

    def __init__(self) -> None:
        self._lines: deque[tuple[str, str]] = deque(maxlen=MOST_LINES)

    def add_person(self, text: str) -> None:
        """Add a person's line."""
        self._add("user", text)

    def add_host(self, text: str) -> None:
        """Add the heard text of an answer; empty text adds no line."""
        if text:
            self._add("assistant", text)

    @property
    def is_unanswered(self) -> bool:
        """Whether the last line is a person's."""
        return bool(self._lines) and self._lines[-1][0] == "user"

    def drop_unanswered(self) -> None:
        """Remove a person's last line, because it will have no answer."""
        if self.is_unanswered:
            self._lines.pop()

    def _add(self, role: str, text: str) -> None:
        # Consecutive lines of one role are joined: some models reject two messages of the same role in a row.
        if self._lines and self._lines[-1][0] == role:
            text = f"{self._lines.pop()[1]}\n{text}"
        self._lines.append((role, text[-MOST_CHARACTERS:]))
        while sum(len(each) for _, each in self._lines) > MOST_CHARACTERS:
            self._lines.popleft()

    def forget(self) -> None:
        """Remove all lines, because another person talks now, who must not see them."""
        self._lines.clear()

    async def messages(self, settings: ConversationSettings) -> list[dict[str, str]]:
        """Return the messages for the chat server. Raises StudioError if the host's knowledge file cannot be read."""
        system = settings.system_prompt
        if settings.knowledge is not None:
            known = await asyncio.to_thread(knowledge, settings.knowledge)
            system = (
                f"{system}\n\nThis is what you know. Say that you do not know what is not in it:\n\n{known}".lstrip()
            )
        lines = list(self._lines)
        while lines and lines[0][0] == "assistant":  # an answer to a dropped line
            del lines[0]
        head = [{"role": "system", "content": system}] if system else []
        return head + [{"role": role, "content": text} for role, text in lines]


def knowledge(path: Path) -> str:
    """Return the text of the host's knowledge file. Raises StudioError."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_KNOWLEDGE_BYTES + 1)
    except OSError as error:
        raise StudioError(
            f"The host's knowledge file {path} cannot be read ({error.strerror}); check the file."
        ) from None
    if len(data) > MOST_KNOWLEDGE_BYTES:
        raise StudioError(
            f"{path} has more than {MOST_KNOWLEDGE_BYTES >> 10} KB; shorten it, because it is sent with every question."
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise StudioError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    if "\0" in text:
        raise StudioError(f"{path} is not a text file; give a plain text or Markdown file.")
    return text.strip()
