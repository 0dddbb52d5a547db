"""Untrusted text made safe to show: one line, with everything escaped that a terminal, log or JSON could interpret."""

import unicodedata

JOINERS = "\u200c\u200d"  # within words of some scripts, and within emoji


def one_line(text: str, longest: int = 0) -> str:
    """Return the text with control characters, line breaks and lone surrogates as escapes.

    longest: number of characters to which the text is cut, 0 for no limit.
    """
    if not text.isprintable():
        text = "".join(char if _is_shown(char) else char.encode("unicode_escape").decode() for char in text)
    return text[: longest - 1] + "…" if longest and len(text) > longest else text


def _is_shown(char: str) -> bool:
    return char.isprintable() or char in JOINERS or unicodedata.category(char) == "Zs"
