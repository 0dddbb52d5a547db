"""Text of others as it is shown: on one line, with everything that a terminal, a log or JSON would take for more than text escaped."""


def one_line(text: str, longest: int = 0) -> str:
    """Return the text with control characters, line breaks and lone surrogates as escapes; at most `longest` characters, 0 for all."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return text[: longest - 1] + "…" if longest and len(text) > longest else text
