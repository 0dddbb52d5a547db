"""Settings: defaults < studio.toml < STUDIO_* environment < flags. One model for every service."""

import json
import os
import re
import tempfile
from fractions import Fraction
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from shared.config.conversation import ConversationSettings
from shared.config.layered import PREFIX, LayeredSettings
from shared.config.proxy import canonical_host, frame_ancestor, host_name, path_prefix, proxy_network
from shared.runtime.private_files import close_to_others

ENGINE_GROUP = "persona_studio.engines"  # entry-point group; an entry's name is the engine's and its settings table's
VOICE_GROUP = "persona_studio.voices"  # entry-point group; the settings table of a voice is voice_<name>
DEFAULT_ENGINE = "mesh"  # needs no weights and no GPU


# Variables that LiveKit's and the hub's own tools read, and the usual one of Redis; STUDIO_ variables take precedence.
PLAIN_VARIABLES = {
    "livekit_url": "LIVEKIT_URL",
    "livekit_api_key": "LIVEKIT_API_KEY",
    "livekit_api_secret": "LIVEKIT_API_SECRET",
    "redis_url": "REDIS_URL",
    "weights_hub": "HF_ENDPOINT",
}


HOST = re.compile(r"[A-Za-z0-9._:%-]{1,255}")


@cache
def installed_engines() -> tuple[str, ...]:
    """Return the names of the engines in installed packages, without importing any of them."""
    return tuple(entry_points(group=ENGINE_GROUP).names)


@cache
def installed_voices() -> tuple[str, ...]:
    """Return the names of the voices in installed packages, without importing any of them."""
    return tuple(entry_points(group=VOICE_GROUP).names)


def _default_run_root() -> Path:
    # An ipc path has at most 107 bytes, so this folder's path is short and not below the home folder.
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "persona-studio"
    return Path(tempfile.gettempdir()) / f"persona-studio-{os.getuid()}"


class SessionSettings(BaseModel):
    """Faces for other applications' voice bots, which are off until an address is allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    allowed_livekit_urls: list[str] = Field(
        [],
        description="the only LiveKit servers that sessions may join, ws:// or wss://; none: sessions are off",
    )
    max_sessions: int = Field(
        0, ge=0, le=1000, description="sessions at a time; 0 is as many as the machine can serve, by measured load"
    )

    @field_validator("allowed_livekit_urls")
    @classmethod
    def _servers(cls, value: list[str]) -> list[str]:
        return [livekit_origin(each) for each in value]


class Settings(LayeredSettings):
    """All settings of a studio. `studio config` prints each with its value and the layer that it comes from."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)
    # An empty variable here is a mistake: the default would listen on another address or use another studio's home.
    REFUSED_EMPTY = frozenset({"host", "home"})

    home: Path = Field(
        Path("~/.local/share/persona-studio"), description="where avatars, recordings and the token are kept"
    )
    run_root: Path = Field(default_factory=_default_run_root, description="where sockets are made; a short path")
    channel: str = Field("main", pattern=r"^[a-z0-9][a-z0-9-]{0,19}$", description="name of the live program")
    host: str = Field("127.0.0.1", description="address the console listens on")
    port: int = Field(
        8750,
        ge=0,
        le=65535,
        description="port of the console; if it is taken and was not set explicitly, a free port near it is used",
    )
    allowed_hosts: list[str] = Field([], description="further host names the console may be reached by")
    trusted_proxies: list[str] = Field(
        [],
        description="addresses or networks of proxies whose X-Forwarded-Host, -Port, -Proto and -Prefix are trusted",
    )
    path_prefix: str = Field("", description="path below which a proxy shows the studio, such as /studio")
    frame_ancestors: list[str] = Field(
        [], description="origins whose pages may show the watch page in a frame, such as https://www.example.com"
    )
    fps: float = Field(25.0, ge=1, le=60, description="frames a second of the program")
    avatar: str = Field("sample", description="avatar to start with")
    engine: str = Field(DEFAULT_ENGINE, description="engine to start with")
    engines: dict[str, str] = Field(
        {}, description='further engines by name, each as "module:class" of the engine interface'
    )
    options: dict[str, bool | int | float | str] = Field({}, description="options of the engine to start with")
    driver: str = Field(
        "sample",
        description="sample, browser, microphone, speech, camera:N, a video or sound file, or an rtsp/http URL",
    )
    voice: str = Field(
        "",
        pattern=r"^([a-z][a-z0-9_]{0,39})?$",
        description="voice that speaks text; when empty, the first one that works on this machine",
    )
    loop: bool = Field(True, description="a file driver starts again at its end")
    label: bool = Field(True, description='show the "AI-generated" label')
    burn_captions: bool = Field(False, description="draw captions of spoken texts into recording, RTMP and LiveKit")
    record: Path | None = Field(None, description="record the program into this MP4 from the start")
    record_split_minutes: float = Field(0, ge=0, le=1440, description="begin a new part after this long; 0 is never")
    record_split_megabytes: int = Field(0, ge=0, description="begin a new part beyond this size; 0 is never")
    jobs: str = Field(
        "",
        description="where jobs are kept: a folder or an fsspec URL such as s3://bucket/jobs; <home>/jobs when empty",
    )
    redis_url: SecretStr | None = Field(
        None,
        description="Redis that wakes the workers, redis:// or rediss://; the studio's own when unset; also REDIS_URL",
    )
    segment_seconds: float = Field(
        10, ge=0.2, le=600, description="length of the segments that workers render; a lost segment is rendered again"
    )
    rtmp_url: SecretStr | None = Field(
        None, description="push the program to this rtmp:// or rtmps:// address, stream key included, from the start"
    )
    rtmp_kbps: int = Field(2500, ge=200, le=50_000, description="bit rate of the video that is pushed, kbit/s")
    clean_feed_right: str = Field(
        "",
        max_length=500,
        description="your right to output frames without the label, such as a licence; written to the log",
    )
    clean_feed: list[Literal["record", "rtmp"]] = Field(
        [], description="outputs that begin without the label; needs clean_feed_right"
    )
    livekit: bool = Field(False, description="publish the program to LiveKit from the start")
    livekit_url: str = Field("", description="LiveKit server, ws:// or wss://; also LIVEKIT_URL")
    livekit_public_url: str = Field("", description="the same server as viewers reach it, when that differs")
    livekit_api_key: str = Field("", description="LiveKit API key; also LIVEKIT_API_KEY")
    livekit_api_secret: SecretStr = Field(SecretStr(""), description="LiveKit API secret; also LIVEKIT_API_SECRET")
    livekit_room: str = Field("", max_length=64, description="room to publish in; the channel's name when empty")
    livekit_codec: Literal["vp8", "h264", "vp9", "av1"] = Field("vp8", description="codec of the published video")
    livekit_kbps: int = Field(
        0, ge=0, le=50_000, description="highest bit rate of the video, kbit/s; 0 chooses by frame size"
    )
    livekit_simulcast: bool = Field(
        False,
        description="also publish smaller frames for slow connections; takes half as much CPU again; begins with them",
    )
    livekit_degradation: Literal["maintain-resolution", "maintain-framerate", "balanced"] = Field(
        "maintain-resolution", description="what to keep when the connection or the machine is too slow"
    )
    sessions: SessionSettings = Field(
        SessionSettings(), description="faces for voice bots: allowed_livekit_urls and max_sessions"
    )
    preview_quality: int = Field(85, ge=30, le=100, description="JPEG quality of the browser preview")
    watch_viewers: int = Field(
        100, ge=0, le=900, description="viewers by watch links at a time, over all links; 0: no viewers by links"
    )
    idle_after: float = Field(0.5, ge=0.1, le=10, description="seconds without a face until the host idles")
    weights: Path | None = Field(
        None,
        description="folder of official checkpoints in their authors' layout; none: the checkout's pretrained_weights",
    )
    weights_hub: str = Field("https://huggingface.co", description="where weights are fetched from; also HF_ENDPOINT")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error")

    @field_validator("home", "run_root", "record", "weights", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if isinstance(value, str) and (not value.strip() or "\0" in value):
            raise ValueError("it is empty; give a path, or leave the setting out")
        return value

    @field_validator("home", "run_root", "record", "weights")
    @classmethod
    def _expanded(cls, value: Path | None) -> Path | None:
        try:
            return value.expanduser().absolute() if value is not None else None
        except RuntimeError:
            raise ValueError("there is no such user on this machine; give the full path") from None

    @field_validator("host")
    @classmethod
    def _listenable(cls, value: str) -> str:
        if not HOST.fullmatch(value):
            raise ValueError(
                "give 127.0.0.1 for this machine alone, or the address of an interface; 0.0.0.0 is all of them"
            )
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _names(cls, value: list[str]) -> list[str]:
        return [host_name(each) for each in value]

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, value: list[str]) -> list[str]:
        return [str(proxy_network(each)) for each in value]

    @field_validator("path_prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        return path_prefix(value)

    @field_validator("frame_ancestors")
    @classmethod
    def _ancestors(cls, value: list[str]) -> list[str]:
        return [frame_ancestor(each) for each in value]

    @field_validator("rtmp_url")
    @classmethod
    def _pushable(cls, value: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(value.get_secret_value()) if value else None
        if parts and (parts.scheme not in ("rtmp", "rtmps") or not parts.hostname or not parts.path.strip("/")):
            raise ValueError("it must be an address like rtmp://host/app/key")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(value.get_secret_value()) if value else None
        if parts and (parts.scheme not in ("redis", "rediss") or not parts.hostname):
            raise ValueError("it must be an address like redis://:password@host:6379/0")
        return value

    @field_validator("livekit_url", "livekit_public_url")
    @classmethod
    def _reachable(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname):
            raise ValueError("it must be an address like wss://livekit.example.com")
        if "@" in parts.netloc:  # viewers and the log see the address
            raise ValueError("it must be without user and password; LiveKit's keys are settings of their own")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        if self.clean_feed and not self.clean_feed_right.strip():
            raise ValueError("clean_feed needs clean_feed_right: say what allows you to leave the label out")
        return self

    @classmethod
    def other_variables(cls) -> dict[str, str]:
        """Return the alternative variables that other tools use, by setting."""
        return PLAIN_VARIABLES

    @classmethod
    def toml_values(cls) -> dict[str, Any]:
        """Return the top level of studio.toml without the tables of engines, voices and the conversation."""
        values = super().toml_values()
        engines = values.get("engines")
        tables = {*installed_engines(), *(engines if isinstance(engines, dict) else ())}
        tables |= {f"voice_{name}" for name in installed_voices()} | {ConversationSettings.TABLE}
        return {key: value for key, value in values.items() if key not in tables}

    def foreign_prefixes(self) -> tuple[str, ...]:
        """Return the prefixes of the variables of engines, voices and the conversation."""
        return (*self._engine_prefixes(), *_voice_prefixes(), ConversationSettings.variable(""))

    def _engine_prefixes(self) -> tuple[str, ...]:
        return tuple(f"{PREFIX}{engine}_".upper() for engine in (*installed_engines(), *self.engines))

    @property
    def room(self) -> str:
        """The LiveKit room in which the program is published."""
        return self.livekit_room or self.channel

    @property
    def rate(self) -> Fraction:
        """Program frames per second as a fraction; 29.97, 23.976 and 59.94 mean the broadcast rates n * 1000 / 1001."""
        for exact in (Fraction(30000, 1001), Fraction(24000, 1001), Fraction(60000, 1001)):
            if abs(self.fps - float(exact)) < 0.005:
                return exact
        return Fraction(self.fps).limit_denominator(1001)

    @property
    def jobs_url(self) -> str:
        """Folder or fsspec URL of the job store."""
        return self.jobs or str(self.home / "jobs")

    @property
    def run_dir(self) -> Path:
        """The channel's folder of sockets."""
        return self.run_root / self.channel

    def environment(self, *, secrets: bool = True) -> dict[str, str]:
        """Return these settings as the STUDIO_* variables that the supervisor passes to the services.

        They include the variables of engines' own settings as this process has them, unchecked, and, with `secrets`,
        those of the voices and the conversation.
        """
        values = self.model_dump(mode="json") | {
            name: value.get_secret_value() if secrets else None for name, value in self if isinstance(value, SecretStr)
        }
        theirs = self.foreign_prefixes() if secrets else self._engine_prefixes()
        own = {key: value for key, value in os.environ.items() if key.startswith(theirs)}
        return own | {
            PREFIX + name.upper(): value if isinstance(value, str) else json.dumps(value)
            for name, value in values.items()
            if value is not None
        }

    def shown(self) -> dict[str, Any]:
        """Return these settings as plain values that are safe to show.

        A secret address keeps its scheme and host, any other secret becomes stars, and other addresses lose their user,
        password and query.
        """
        values = self.model_dump(mode="json")
        plain = {name: _without_password(value) for name, value in values.items() if isinstance(value, str)}
        secret = {name: shown_address(value) for name, value in self if isinstance(value, SecretStr)}
        return values | plain | secret


def _voice_prefixes() -> tuple[str, ...]:
    return tuple(f"{PREFIX}voice_{voice}_".upper() for voice in installed_voices())


def livekit_origin(url: str) -> str:
    """Return scheme, host and port of a LiveKit server's address, equal for all addresses of the same server.

    Raises ValueError.
    """
    parts = urlsplit(url.strip())
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.hostname or parts.username or parts.password:
        raise ValueError("it must be an address like wss://livekit.example.com")
    host = canonical_host(parts.hostname)
    port = parts.port or (443 if scheme == "wss" else 80)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def openable_host(host: str) -> str:
    """Return the host under which a browser on this machine can open a server that listens on `host`."""
    opened = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{opened}]" if ":" in opened else opened


def shown_address(secret: SecretStr) -> str:
    """Return scheme and host of a secret address, with stars for the rest; "***" for another secret, "" for none."""
    if not secret.get_secret_value():
        return ""
    parts = urlsplit(secret.get_secret_value())
    return f"{parts.scheme}://{parts.hostname}/***" if parts.scheme and parts.hostname else "***"


def _without_password(value: str) -> str:
    if "://" not in value:
        return value
    return re.sub(r"(?<=\?).+", "***", re.sub(r"(?<=://).*@", "***@", value))


def load_settings(**flags: Any) -> Settings:
    """Return the settings from all layers; flags that are None count as not given.

    Also closes an existing home folder to other users. Raises StudioError with one sentence.
    """
    settings = Settings.load({key: value for key, value in flags.items() if value is not None})
    close_to_others(settings.home)
    return settings
