"""Captions drawn into frames: at most two lines on a dark box, inside the area that every screen shows.

A sentence that needs more than two lines is shown as consecutive pages, each for a time in proportion to its letters.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from compositing.caption_font import Font, drawable_text
from compositing.label import label_overlay
from compositing.overlay import Overlay, even, overlay_at, rounded_box, white_on

LINES = 2
LETTER_SIZE = 0.05  # of the frame's shorter side
MIN_LETTER_PX = 14  # smaller letters are unreadable
WIDTH = 0.8  # maximum width of a line relative to the frame
ABOVE_LABEL = 0.3  # in letter sizes: distance from the box to the label, where the safe area ends
LINE_HEIGHT, PADDING, RADIUS = 1.3, 0.45, 0.3  # in letter sizes
BOX_ALPHA = 170  # of 255
CJK = (
    ("\u2e80", "\u9fff"),
    ("\uac00", "\ud7a3"),
    ("\uf900", "\ufaff"),
    ("\uff00", "\uffef"),
    ("\U00020000", "\U0003ffff"),
)
NEVER_FIRST = "、。，．！？；：」』）】》〉〕ー々,.!?;:)]}"  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class CaptionPage:
    """Lines of a sentence that are visible at the same time.

    until: share of the sentence, 0 to 1, that has been spoken when the page disappears.
    """

    overlay: Overlay
    until: float


def caption_pages(text: str, width: int, height: int) -> tuple[CaptionPage, ...]:
    """Return the pages of a sentence for frames of this size; none if the frame is too small.

    Takes milliseconds. Raises StudioError if no installed font has the sentence's letters.
    """
    size = max(MIN_LETTER_PX, LETTER_SIZE * min(width, height))
    text, file = drawable_text(text)
    font = file.sized(size)
    lines = wrapped_lines(text, font, WIDTH * width)
    shown = [lines[at : at + LINES] for at in range(0, len(lines), LINES)]
    lengths = np.cumsum([sum(map(len, page)) for page in shown])
    pages = []
    for page, length in zip(shown, lengths, strict=True):
        overlay = _overlay(page, font, size, width, height)
        if overlay is None:
            return ()
        pages.append(CaptionPage(overlay, float(length / lengths[-1])))
    return tuple(pages)


def page_at(pages: tuple[CaptionPage, ...], share: float) -> Overlay | None:
    """Return the page to show when this share of a sentence has been spoken; None if there are no pages."""
    return next((page.overlay for page in pages if share < page.until), pages[-1].overlay if pages else None)


def wrapped_lines(text: str, font: Font, most: float) -> list[str]:
    """Return a text in lines of at most `most` pixels; two lines are about equally long.

    Lines break at spaces, between CJK characters, and within a word that is too long for a line.
    """
    lines = _filled(text, font, most)
    if len(lines) > 1 and len(lines) % LINES == 0:
        # Narrower, as long as it needs no further line: two words below a full line read badly.
        for narrower in (0.55, 0.65, 0.75, 0.85):
            if len(tried := _filled(text, font, narrower * most)) == len(lines):
                return tried
    return lines


def _filled(text: str, font: Font, most: float) -> list[str]:
    lines, line = [], ""
    for piece in _pieces(text):
        if line and font.getlength((line + piece).rstrip()) > most:
            lines.append(line.rstrip())
            line = ""
        line += piece
        while font.getlength(line.rstrip()) > most and len(line) > 1:
            cut = next(
                count for count in range(len(line) - 1, 0, -1) if count == 1 or font.getlength(line[:count]) <= most
            )
            lines.append(line[:cut])
            line = line[cut:]
    return [*lines, line.rstrip()] if line.strip() else lines


def _pieces(text: str) -> list[str]:
    """Split a text into unbreakable pieces: words with the space after them, CJK characters with punctuation."""
    pieces = [""]
    for char in text:
        before = pieces[-1]
        breaks = before.endswith(" ") or (before and (_is_cjk(char) or _is_cjk(before[-1])) and char not in NEVER_FIRST)
        if breaks and char != " ":
            pieces.append(char)
        else:
            pieces[-1] += char
    return pieces


def _is_cjk(char: str) -> bool:
    return any(first <= char <= last for first, last in CJK)


def _overlay(lines: list[str], font: Font, size: float, width: int, height: int) -> Overlay | None:
    wide = even(max(font.getlength(line) for line in lines) + 2 * PADDING * size + 1)
    tall = even((LINE_HEIGHT * len(lines) + PADDING) * size)
    label = label_overlay(width, height)
    if label is None:
        return None
    x, y = even((width - wide) / 2), even(label.box[1] - ABOVE_LABEL * size - tall)
    if x < 0 or y < 0:
        return None
    letters = Image.new("L", (wide, tall), 0)
    draw = ImageDraw.Draw(letters)
    for number, line in enumerate(lines):
        middle = (PADDING / 2 + LINE_HEIGHT * (number + 0.5)) * size
        draw.text((wide / 2, middle), line, fill=255, font=font, anchor="mm")
    ground = rounded_box(wide, tall, RADIUS * size, BOX_ALPHA)
    return overlay_at(x, y, white_on(ground, np.asarray(letters, np.float64)))
