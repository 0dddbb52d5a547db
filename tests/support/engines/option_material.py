"""Options of every kind, for forms and checks."""

from typing import Literal

from pydantic import Field

from engines.options import EngineOptions, titles


class EveryOptions(EngineOptions):
    """One of each kind."""

    quality: Literal["auto", "full", "small"] = Field(
        "auto",
        description="from the best frame to the fastest",
        json_schema_extra=titles({"auto": "automatic", "full": "512 pixels", "small": "256 pixels"}),
    )
    close_lips: bool = Field(True, description="close an open mouth before moving it")
    multiplier: float = Field(1.0, ge=0.0, le=3.0, description="of the whole movement")
    seed: int = Field(42, ge=0, lt=1000, description="of the noise")
    prompt: str = Field(
        "", max_length=20, pattern="^[a-z ]*$", description="what the scene looks like, in small letters"
    )
