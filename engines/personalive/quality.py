"""The ladder of qualities, from the best frame to the fastest."""

from dataclasses import dataclass

AUTO = "auto"  # begins at the top, and goes down by itself
AUTO_TITLE = "automatic"


@dataclass(frozen=True, slots=True)
class Rung:
    """A rung of the ladder of qualities.

    title: what a user picks it by. size: of the frames that are made, before they are enlarged to the ROI. small_vae:
    decode with TAESD, where its weights are. every: one driving frame in how many is taken.
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
SMALL_DECODER = "taesd"  # differs from the rung above it by nothing but the decoder
NO_SMALL_DECODER = (
    "PersonaLive's small decoder (TAESD) is not installed; `studio weights pull personalive --all` gets it, or choose"
    " another quality."
)


def rung(name: str) -> Rung:
    """The rung of this name; any other name, such as "auto", gives the top."""
    return next((each for each in LADDER if each.name == name), LADDER[0])


def below(current: Rung, small_vae: bool) -> Rung | None:
    """The next one down, None at the last.

    small_vae: whether the small decoder's weights are there; without them the rung that differs by nothing else is
    passed over.
    """
    lower = LADDER[LADDER.index(current) + 1 :]
    return next((each for each in lower if small_vae or each.name != SMALL_DECODER), None)
