"""The ladder of qualities, from the best picture to the fastest."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rung:
    """size: of the pictures that are made, before they are enlarged to the ROI. small_vae: decode with TAESD. every:
    one driving frame in how many is taken."""

    name: str
    size: int
    small_vae: bool
    every: int

    def __str__(self) -> str:
        decoder = "the small decoder" if self.small_vae else "the full decoder"
        rate = ", every second driver frame" if self.every == 2 else ""
        return f"{self.size} pixels, {decoder}{rate}"


LADDER = (
    Rung("full", 512, False, 1),
    Rung("taesd", 512, True, 1),
    Rung("384", 384, True, 1),
    Rung("256", 256, True, 1),
    Rung("half", 256, True, 2),
)


def rung(name: str) -> Rung:
    """By name; "auto" begins at the top."""
    return next((each for each in LADDER if each.name == name), LADDER[0])


def below(current: Rung, small_vae: bool) -> Rung | None:
    """The next one down, None at the last. small_vae: whether the small decoder's weights are there; without them the
    rung that differs by nothing else is passed over."""
    lower = LADDER[LADDER.index(current) + 1 :]
    return next((each for each in lower if small_vae or each.name != "taesd"), None)
