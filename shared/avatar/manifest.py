"""`avatar.json`: an avatar's manifest, a typed and versioned file."""

import json
import unicodedata
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors import StudioError

SCHEMA = 1  # version of manifests that this studio reads and writes
MAX_BYTES = 4 << 20  # size of avatar.json
FILE = "avatar.json"
PlateKind = Literal["portrait", "image", "video"]


class _ManifestPart(BaseModel):
    """Base of the manifest's parts. Unknown keys, from a later release, are kept."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Sources(_ManifestPart):
    """Names of the files from which the avatar was made."""

    portrait: str = ""
    body: str | None = None


class PortraitFacts(_ManifestPart):
    """Size of the stored portrait in pixels."""

    width: int = 0
    height: int = 0


class RoiFacts(_ManifestPart):
    """Facts of the portrait's ROI.

    size: side of the ROI in pixels. face: size of the face in it, in pixels. relit: whether it is in the plate's light.
    """

    size: int = 0
    face: float = 0.0
    relit: bool = False


class PlateFacts(_ManifestPart):
    """Facts of the plate. width, height: pixels. fps: frames per second. frames: their number. kind: its source."""

    width: int = 0
    height: int = 0
    fps: float = 0.0
    frames: int = 0
    kind: PlateKind | Literal[""] = ""


class AvatarManifest(_ManifestPart):
    """The whole of `avatar.json`.

    rights: the user's statement. own_plate: whether the plate is the portrait itself. rest: (yaw, pitch) in degrees by
    which the plate's face is turned relative to the portrait's. created: ISO 8601, UTC. notes: sentences for the user
    who added the avatar.
    """

    schema_: Literal[1]
    name: str
    rights: str
    created: str = ""
    own_plate: bool
    rest: tuple[float, float]
    sources: Sources = Sources()
    versions: dict[str, str] = {}
    portrait: PortraitFacts = PortraitFacts()
    roi: RoiFacts = RoiFacts()
    plate: PlateFacts = PlateFacts()
    notes: tuple[str, ...] = ()

    model_config = ConfigDict(extra="allow", frozen=True, alias_generator=lambda name: name.rstrip("_"))

    def save(self, folder: Path) -> None:
        """Write the manifest into an avatar's unfinished folder; the write is not atomic. Raises OSError."""
        (folder / FILE).write_text(json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def as_json(self) -> dict[str, Any]:
        """Return the file's content as plain values."""
        return self.model_dump(mode="json", by_alias=True)


def read_avatar_manifest(folder: Path) -> AvatarManifest:
    """Return an avatar's manifest. Raises StudioError where it is missing, damaged or of another version."""
    try:
        path = folder / FILE
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES >> 20} MB")
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise StudioError(f"There is no avatar '{folder.name}'; `studio avatar list` shows all avatars.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise StudioError(f"{folder / FILE} cannot be read ({error}); add the avatar again.") from error
    version = content.get("schema") if isinstance(content, dict) else None
    if version != SCHEMA:
        raise StudioError(f"Avatar '{folder.name}' has format {version}, this studio reads {SCHEMA}; add it again.")
    try:
        return AvatarManifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StudioError(f"{folder / FILE} is damaged ({where}: {first['msg']}); add the avatar again.") from None


def check_rights(text: str) -> None:
    """Raise StudioError for a statement of rights with control characters: it is shown, printed and stored."""
    if any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\r\t" for char in text):
        raise StudioError("The statement of rights contains control characters; write it as plain text.")
