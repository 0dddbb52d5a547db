"""Choice of a font that has the letters of a caption: Pillow's own, else an installed one that fontconfig finds."""

import functools
import subprocess
import unicodedata
from dataclasses import dataclass

from PIL import ImageFont, features

from shared.config.child_environment import outside_environment
from shared.errors import StudioError

FIND_WAIT_S = 5.0
RIGHT_TO_LEFT = ("R", "AL")
ABSENT = "\uffff"  # a character that no font has
EMOJI = "\U0001f000"  # this and all later characters are omitted
VARIATIONS = frozenset(map(chr, range(0xFE00, 0xFE10)))  # they select the appearance of the character before them
STAND_INS = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2022\u2023\u25cf\u25aa", "-"),  # dashes, bullets
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u2039\u203a", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        "\N{HORIZONTAL ELLIPSIS}": "...",
        "\N{MULTIPLICATION SIGN}": "x",
        "\N{DIVISION SIGN}": "/",
        "\N{LEFTWARDS ARROW}": "<-",
        "\N{RIGHTWARDS ARROW}": "->",
        "\N{LEFT RIGHT ARROW}": "<->",
        "\N{RIGHTWARDS DOUBLE ARROW}": "=>",
        "\N{LESS-THAN OR EQUAL TO}": "<=",
        "\N{GREATER-THAN OR EQUAL TO}": ">=",
        "\N{NOT EQUAL TO}": "!=",
        "\N{ALMOST EQUAL TO}": "~",
        "\N{EURO SIGN}": "EUR",
        "\N{POUND SIGN}": "GBP",
        "\N{YEN SIGN}": "JPY",
        "\N{NUMERO SIGN}": "No.",
    }
)
Font = ImageFont.FreeTypeFont


@dataclass(frozen=True, slots=True)
class FontFile:
    """Location of a font. path: "" for Pillow's own."""

    path: str = ""
    index: int = 0

    def sized(self, pixels: float) -> Font:
        """Return the font with letters of this size."""
        if self.path:
            return ImageFont.truetype(self.path, pixels, self.index)
        font = ImageFont.load_default(size=pixels)
        assert isinstance(font, Font)
        return font


def drawable_text(text: str) -> tuple[str, FontFile]:
    """Return a text in a form that an installed font can draw, and that font.

    A font with all letters and signs is preferred. Without one, signs are replaced by simpler ones, and those without a
    replacement are omitted, as are emoji. Raises StudioError if letters would be missing or in the wrong order.
    """
    if not features.check("raqm") and any(map(_is_shaped, text)):
        raise StudioError(
            "Captions of this language need the library libfribidi; install it (sudo apt-get install libfribidi0), or "
            "turn burnt-in captions off."
        )
    font = FontFile()
    if not _missing(text, font):
        return text, font
    for wanted in _wanted(text):
        if _missing("".join(wanted), font) and (found := _installed(wanted)):
            font = found
            break
    missing = _missing(text, font)
    letters = frozenset(filter(str.isalnum, missing))
    if letters:
        raise StudioError(
            f"No installed font has the letter '{min(letters)}' ({unicodedata.name(min(letters), 'of no name')}); "
            "install one, such as fonts-noto-cjk, or turn burnt-in captions off."
        )
    written = "".join(char.translate(STAND_INS) if char in missing else char for char in text)
    missing = _missing(written, font) | VARIATIONS
    return " ".join("".join(char for char in written if char not in missing).split()), font


def _wanted(text: str) -> list[frozenset[str]]:
    """Return the character sets to look for in fonts: letters and signs; without symbols like hearts; letters."""
    signs = frozenset(
        char
        for char in text
        if char.isalnum() or (char < EMOJI and not char.isspace() and unicodedata.category(char) != "Cf")
    )
    signs -= VARIATIONS
    plain = frozenset(char for char in signs if unicodedata.category(char) != "So")
    return [signs, plain, frozenset(filter(str.isalnum, signs))]


def _is_shaped(char: str) -> bool:
    """Whether a character's position or form depends on its neighbours."""
    return unicodedata.bidirectional(char) in RIGHT_TO_LEFT or unicodedata.category(char) in ("Mn", "Mc")


def _missing(text: str, font: FontFile) -> frozenset[str]:
    return frozenset(char for char in set(text) if not char.isspace() and not _has(font, char))


@functools.lru_cache(4096)
def _has(font: FontFile, char: str) -> bool:
    """Whether the font has a character, judged by drawing it: a missing one looks like `ABSENT`."""
    sized = _probing(font)
    return unicodedata.category(char) in ("Cf", "Mn") or bytes(sized.getmask(char)) != bytes(sized.getmask(ABSENT))


@functools.lru_cache(8)
def _probing(font: FontFile) -> Font:
    return font.sized(20)


@functools.lru_cache(64)
def _installed(signs: frozenset[str]) -> FontFile | None:
    """Return the plainest installed font that has all these characters; None if there is none."""
    charset = " ".join(f"{ord(char):x}" for char in sorted(signs))
    command = ["fc-list", f":charset={charset}:scalable=true", "--format", "%{style[0]}\t%{index}\t%{file}\n"]
    try:
        run = subprocess.run(command, capture_output=True, timeout=FIND_WAIT_S, check=True, env=outside_environment())
    except (OSError, subprocess.SubprocessError):
        return None  # no fontconfig here
    listed = run.stdout.decode(errors="replace")
    rows = [tuple(line.split("\t", 2)) for line in listed.splitlines() if line.count("\t") >= 2]
    plainest = sorted(rows, key=lambda row: (row[0] not in ("Regular", "Book"), "Sans" not in row[2], len(row[2]), row))
    for _, index, path in plainest:
        found = FontFile(path, int(index) & 0xFFFF)
        try:
            found.sized(20)
        except OSError:
            continue  # damaged, or of an unsupported format
        return found
    return None
