"""Settings of the conversation: STUDIO_CONVERSATION_* variables over the table [conversation] of studio.toml."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from shared.config.layered import PREFIX, LayeredSettings
from shared.config.server_url import checked_server_url

PROMPT = (
    "You are the host of a live programme and talk with the people who watch it. What you say is spoken "
    "aloud: answer in one to three short sentences of plain text, in the language you "
    "are spoken to, without lists, markup or emoji."
)
MAX_PROMPT_CHARACTERS = 8000


class ConversationSettings(LayeredSettings):
    """Settings of the conversation: the speech-to-text and chat servers, and what the host knows."""

    TABLE: ClassVar[str] = "conversation"
    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}CONVERSATION_")

    speech_to_text_url: str = Field(
        "", description="speech-to-text server, such as https://api.openai.com/v1 or http://127.0.0.1:8000/v1"
    )
    speech_to_text_key: SecretStr = Field(
        SecretStr(""), description="its API key; empty for a server that asks for none"
    )
    speech_to_text_model: str = Field("whisper-1", min_length=1, max_length=200, description="model of that server")
    language: str = Field(
        "",
        pattern=r"^([a-z]{2,3})?$",
        description="language that people speak, such as en; when empty, the server detects it",
    )
    chat_url: str = Field("", description="chat server, such as https://api.openai.com/v1 or http://127.0.0.1:11434/v1")
    chat_key: SecretStr = Field(SecretStr(""), description="its API key; empty for a server that asks for none")
    chat_model: str = Field("gpt-4o-mini", min_length=1, max_length=200, description="model of that server")
    system_prompt: str = Field(
        PROMPT, max_length=MAX_PROMPT_CHARACTERS, description="who the host is and how it answers"
    )
    knowledge: Path | None = Field(
        None, description="text file of at most 32 KB with what the host knows; it is sent with every question"
    )
    end_of_turn_ms: int = Field(600, ge=200, le=3000, description="silence after which a person has finished, in ms")
    viewers_may_talk: bool = Field(False, description="viewers by a watch link that allows it may talk with the host")

    @field_validator("speech_to_text_url", "chat_url")
    @classmethod
    def _reachable(cls, value: str) -> str:
        return checked_server_url(value, "/audio/transcriptions", "/chat/completions")

    @field_validator("knowledge")
    @classmethod
    def _expanded(cls, value: Path | None) -> Path | None:
        try:
            return value.expanduser().absolute() if value is not None else None
        except RuntimeError:
            raise ValueError("there is no such user on this machine; give the full path") from None

    def missing(self) -> str:
        """Return a sentence that says which setting a conversation still needs; "" if none."""
        for name, role in (("chat_url", "chat server"), ("speech_to_text_url", "speech-to-text server")):
            if not getattr(self, name):
                return f"No {role} is set; set {self.variable(name)} (see docs/conversation.md)."
        return ""
