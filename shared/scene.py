"""The scene: the wanted state of a channel. Services converge on it; there are no commands between services."""

import json
import math
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_origin

from shared.config.settings import DEFAULT_ENGINE
from shared.driver_ref import DriverRef
from shared.runtime.files import write_atomically

DriverImage = Literal["whole", "small", "none"]
OptionValue = bool | int | float | str  # value of an engine's option
MAX_OPTIONS_BYTES = 4 << 10  # size of a scene's or a job's options as JSON


@dataclass(frozen=True, slots=True)
class Scene:
    """The wanted state of a channel, as the operator sets it.

    revision: counts up with every change; a service's pulse reports the revision that it has applied.
    on_air: whether the channel is on air; off air the program is the plate alone, without sound.
    avatar, engine: their names.
    driver: a driver's word, see `shared.driver_ref`.
    loop: whether a file driver starts again at its end.
    label: whether outputs draw the visible "AI-generated" label.
    burn_captions: whether captions of spoken texts are drawn into the frames of the recording, RTMP and LiveKit.
    muted: whether the program is without sound.
    neutral: counts up each time the operator takes the driver's neutral face again.
    recording: path of the recording that should be running, or "".
    rtmp: whether the program is pushed to the RTMP address of the settings.
    livekit: whether the program is published to the LiveKit server of the settings.
    record_clean, rtmp_clean: whether the recording or RTMP output omits the label.
    options: the engine's options by name; the engine's settings apply to all others.
    driver_image: how much of the driver's image capture sends, a `DriverImage`: whole for an engine that needs the
        image, small for a preview, or none. The gateway sets it in every scene that it sends; the operator does not.
    """

    revision: int = 0
    on_air: bool = True
    avatar: str = "sample"
    engine: str = DEFAULT_ENGINE
    driver: str = "sample"
    loop: bool = True
    label: bool = True
    burn_captions: bool = False
    muted: bool = False
    neutral: int = 0
    recording: str = ""
    rtmp: bool = False
    livekit: bool = False
    record_clean: bool = False
    rtmp_clean: bool = False
    options: dict[str, OptionValue] = field(default_factory=dict)
    driver_image: str = "whole"

    @property
    def driver_ref(self) -> DriverRef:
        """The driver that `driver` names."""
        return DriverRef.of_scene(self.driver)

    def changed(self, **changes: Any) -> "Scene":
        """Return the scene with these fields changed and the next revision, or itself if nothing differs.

        A change of the engine also clears the options that are not given.
        """
        if changes.get("engine", self.engine) != self.engine:
            changes = {"options": {}} | changes
        new = replace(self, **changes)
        return self if new == self else replace(new, revision=self.revision + 1)

    def as_dict(self) -> dict[str, Any]:
        """The scene as plain values for a message."""
        return asdict(self)

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> "Scene":
        """Return the scene from plain values. Raises ValueError if a field is missing or has a wrong type or value."""
        for each in fields(cls):
            if type(facts.get(each.name)) is not (get_origin(each.type) or each.type):
                raise ValueError(f"scene field {each.name}")
        if not all(type(name) is str and isinstance(value, OptionValue) for name, value in facts["options"].items()):
            raise ValueError("scene field options")
        if not all(0 <= count < 1 << 53 for count in (facts["revision"], facts["neutral"])):
            raise ValueError("scene counters")
        if any(type(value) is float and not math.isfinite(value) for value in facts["options"].values()):
            raise ValueError("scene field options")
        return cls(**{each.name: facts[each.name] for each in fields(cls)})

    def save(self, path: Path) -> None:
        """Write the scene atomically, so that a restarted gateway finds the same scene. Raises OSError."""
        write_atomically(path, json.dumps(self.as_dict()).encode())

    @classmethod
    def load(cls, path: Path) -> "Scene | None":
        """Return the scene in a file that `save` of this or an earlier release wrote; None if it cannot be read."""
        try:
            facts = cls().as_dict() | json.loads(path.read_text(encoding="utf-8"))
            if quality := facts.get("quality"):  # earlier releases had this field instead of options
                facts["options"] = {"quality": quality} | facts["options"]
            return cls.from_dict(facts)
        except (OSError, ValueError, TypeError, RecursionError, AttributeError):
            return None
