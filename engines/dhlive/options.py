"""Options of the DH_live engine: what its frames depend on besides avatar and voice."""

from typing import Literal

from pydantic import Field

from engines.options import EngineOptions, titles


class DhliveOptions(EngineOptions):
    """Drawing rules and strength of the mouth's movement."""

    rules: Literal["desktop", "browser"] = Field(
        "desktop",
        description="draw the mesh as the original's desktop program does, or as its browser program does",
        json_schema_extra=titles({"desktop": "the desktop's", "browser": "the browser's"}),
    )
    strength: float = Field(1.0, ge=0.0, le=2.0, description="strength of the mouth's movement; 1 is as computed")
