"""Captions in frames: two lines at most, inside the safe area and above the label, readable in any script."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ImageFont

from compositing import caption_font
from compositing.caption import caption_pages, page_at, wrapped_lines
from compositing.caption_font import FontFile, drawable_text
from compositing.label import label_overlay
from shared.errors import StudioError
from shared.media.colour import planes

LONG = "The studio hears sound and faces, and what it says is read below the frame by those who cannot hear it. " * 3


def grey(width: int, height: int, level: int) -> NDArray[np.uint8]:
    frame = np.full((height * 3 // 2, width), 128, np.uint8)
    frame[:height] = level
    return frame


@pytest.mark.unit
@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1080, 1920), (640, 360), (320, 240)])
@pytest.mark.parametrize("text", ["Hello.", LONG.strip(), "W" * 300])
def test_it_lies_in_the_safe_area_above_the_label(text: str, width: int, height: int) -> None:
    pages = caption_pages(text, width, height)
    label = label_overlay(width, height)
    assert pages and label and pages[-1].until == 1
    for page in pages:
        x, y, w, h = page.overlay.box
        assert 0.05 * width <= x and x + w <= 0.95 * width and abs(2 * x + w - width) <= 4
        assert y >= 0.05 * height and y + h <= 0.95 * height and y + h <= label.box[1]
        letter = max(14, 0.05 * min(width, height))
        assert h <= (2 * 1.3 + 0.5) * letter + 2, "two lines at most"


@pytest.mark.unit
@pytest.mark.parametrize("level", [16, 128, 235])
def test_it_reads_on_any_ground_and_touches_nothing_else(level: int) -> None:
    (page,) = caption_pages("A sentence of a host.", 1280, 720)
    frame = grey(1280, 720, level)
    page.overlay.draw(frame)
    x, y, w, h = page.overlay.box
    luma, u, v = planes(frame)
    box = luma[y : y + h, x : x + w]
    assert box.max() > 225 and np.percentile(box, 30) < 115 and (box > 200).mean() > 0.04
    luma[y : y + h, x : x + w] = level
    u[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2] = v[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2] = 128
    assert np.array_equal(frame, grey(1280, 720, level))


@pytest.mark.unit
def test_a_long_sentence_comes_in_pages_by_the_share_of_its_letters() -> None:
    pages = caption_pages(LONG.strip(), 1280, 720)
    shares = [page.until for page in pages]
    assert len(pages) > 1 and shares == sorted(shares) and max(np.diff([0, *shares])) < 2 / len(pages)
    for number, page in enumerate(pages):
        assert page_at(pages, page.until - 0.01) is page.overlay
        assert page_at(pages, page.until) is pages[min(number + 1, len(pages) - 1)].overlay
    assert page_at((), 0.5) is None


@pytest.mark.unit
def test_lines_break_at_spaces_between_cjk_characters_and_in_what_is_too_long() -> None:
    font = FontFile().sized(30)
    lines = wrapped_lines(LONG.strip(), font, 500)
    assert " ".join(lines) == LONG.strip() and all(font.getlength(line) <= 500 for line in lines)
    chinese = "今天天气很好，我们去公园散步吧。" * 3  # noqa: RUF001
    for most in range(100, 400, 10):
        lines = wrapped_lines(chinese, font, most)
        assert "".join(lines) == chinese and len(lines) > 1 and all(font.getlength(line) <= most for line in lines)
        assert not any(line[0] in "，。" for line in lines), "these begin no line"  # noqa: RUF001
    lines = wrapped_lines("x" * 99, font, 200)
    assert "".join(lines) == "x" * 99 and all(font.getlength(line) <= 200 for line in lines)
    two = wrapped_lines("one two three four five six seven", font, 1.1 * font.getlength("one two three four five six"))
    assert len(two) == 2 and len(two[0]) < 1.7 * len(two[1])


@pytest.mark.unit
def test_a_frame_too_small_for_it_has_none() -> None:
    assert caption_pages("A sentence.", 64, 12) == ()


@pytest.mark.apart
def test_right_to_left_text_is_drawn_from_the_right() -> None:
    if not caption_font._installed(frozenset("שלוםabc")):  # noqa: RUF001
        pytest.skip("no font with Hebrew here")
    _, font = drawable_text("שלום abc")
    whole, hebrew = (columns(font, text) for text in ("שלום abc", "שלום"))
    right, left = whole[-len(hebrew) :], whole[: len(hebrew)]
    assert np.abs(right - hebrew).mean() < np.abs(left - hebrew).mean() / 2


def columns(font: FontFile, text: str) -> NDArray[np.float64]:
    """Return how much ink each column of a text has."""
    mask = font.sized(40).getmask(text)
    return np.asarray(np.asarray(mask, np.float64).reshape(mask.size[::-1]).sum(axis=0), np.float64)


@pytest.mark.unit
def test_letters_that_no_font_has_are_refused_in_a_sentence_and_emoji_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(caption_font, "_installed", lambda letters: None)  # as without fontconfig
    with pytest.raises(
        StudioError, match=r"No installed font has the letter 'д' \(CYRILLIC SMALL LETTER DE\); install one"
    ):
        drawable_text("д")
    assert drawable_text("Well done \U0001f600.")[0] == "Well done ."
    monkeypatch.setattr("PIL.features.check", lambda name: False)
    with pytest.raises(StudioError, match="need the library libfribidi"):
        drawable_text("שלום")
    assert isinstance(FontFile().sized(12), ImageFont.FreeTypeFont)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Yes \u2014 no.", "Yes - no."),
        ("1914\u20131918", "1914-1918"),
        ("5 \u00d7 3 \u2265 2 \u2192 so", "5 x 3 >= 2 -> so"),
        ("\u2022 \u20ac 5 \u2260 6\u2026", "- EUR 5 != 6\u2026"),
    ],
)
def test_signs_that_the_font_lacks_are_written_with_others(
    text: str, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caption_font, "_installed", lambda signs: None)  # as without fontconfig
    assert drawable_text(text) == (written, FontFile())


@pytest.mark.apart
def test_a_font_with_all_signs_is_preferred_and_an_emoji_asks_for_none() -> None:
    if not caption_font._installed(frozenset("Yes\u2014no.\u00d7\u2192")):
        pytest.skip("no font with these signs here")
    text, font = drawable_text("Yes \u2014 no \u00d7 \u2192.")
    assert text == "Yes \u2014 no \u00d7 \u2192." and font.path
    assert drawable_text("Yes \U0001f600 no.") == ("Yes no.", FontFile())
    for emoji in ("\U0001f680", "\u2b50\ufe0f"):  # which no text font has
        assert drawable_text(f"Yes \u2014 no {emoji}")[0] == "Yes \u2014 no"
