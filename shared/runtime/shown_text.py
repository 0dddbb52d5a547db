"""Text of others as it is shown.

On one line, with everything that a terminal, a log or JSON would take for more than text escaped.
"""

import unicodedata

JOINERS = "\u200c\u200d"  # within words of some scripts, and within emoji


def one_line(text: str, longest: int = 0) -> str:
    """Return the text with control characters, line breaks and lone surrogates as escapes.

    At most `longest` characters, 0 for all.
    """
    if not text.isprintable():
        text = "".join(char if _is_shown(char) else char.encode("unicode_escape").decode() for char in text)
    return text[: longest - 1] + "…" if longest and len(text) > longest else text


def _is_shown(char: str) -> bool:
    return char.isprintable() or char in JOINERS or unicodedata.category(char) == "Zs"
