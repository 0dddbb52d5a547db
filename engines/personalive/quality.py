"""The quality levels, from the best frame to the fastest."""

from dataclasses import dataclass

AUTO = "auto"  # begins at the best level, and is lowered automatically
AUTO_TITLE = "automatic"


@dataclass(frozen=True, slots=True)
class Rung:
    """A quality level.

    title: the name that users see. size: size of the computed frames, before they are enlarged to the ROI. small_vae:
        decode with TAESD, if its weights are installed. every: one in this many driving frames is used.
    """

    name: str
    title: str
    size: int
    small_vae: bool
    every: int


LADDER = (
    Rung("full", "512 pixels, full decoder", 512, False, 1),
    Rung("taesd", "512 pixels, small decoder (softer, faster)", 512, True, 1),
    Rung("384", "384 pixels, enlarged", 384, True, 1),
    Rung("256", "256 pixels, enlarged", 256, True, 1),
    Rung("half", "256 pixels, every second driver frame", 256, True, 2),
)
SMALL_DECODER = "taesd"  # differs from the level above it only by the decoder
NO_SMALL_DECODER = (
    "PersonaLive's small decoder (TAESD) is not installed; `studio weights pull personalive --all` gets it, or choose"
    " another quality."
)


def rung(name: str) -> Rung:
    """Return the level of this name; the best level for any other name, such as "auto"."""
    return next((each for each in LADDER if each.name == name), LADDER[0])


def below(current: Rung, small_vae: bool) -> Rung | None:
    """Return the next lower level, None for the lowest.

    small_vae: whether the small decoder's weights are installed; without them the level that differs only by the
        decoder is skipped.
    """
    lower = LADDER[LADDER.index(current) + 1 :]
    return next((each for each in lower if small_vae or each.name != SMALL_DECODER), None)
