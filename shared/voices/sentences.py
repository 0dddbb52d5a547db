"""Splits a text in any script into sentences for a voice.

The rules are few and prefer sentences that are too long: two sentences spoken as one sound right, a sentence cut in two
does not.
"""

import re
from collections.abc import Iterator

MAX_SENTENCE_CHARACTERS = 300  # a longer one is cut at a comma: it would start late and make a bad caption
WRAPPED_CHARACTERS = 50  # a line of at least this length is assumed to be wrapped, not ended

LATIN_ENDS, OTHER_ENDS = ".!?…‽", "。！？｡．।॥؟۔።᠃"  # OTHER_ENDS end a sentence without a space after them
CLOSERS = "\"'”’»›)]}」』】）》〉〗"
OPENERS = "\"'“‘«‹([{「『【（《〈¿¡-–—•*"
END = re.compile(rf"(?:[{re.escape(LATIN_ENDS)}]+|[{OTHER_ENDS}]+)[{re.escape(CLOSERS)}]*")
CUTS = re.compile(r"[,;:–—،؛](?=\s)|[、，；：]")
# Abbreviations whose full stop does not end a sentence: a name, a number or another word follows.
SHORTENED = frozenset(
    (
        "mr", "mrs", "ms", "dr", "prof", "st", "sr", "sra", "dra", "mme", "mlle", "hr", "fr", "jr", "gen", "col",
        "lt", "sgt", "capt", "rev", "hon", "pres", "gov", "sen", "vs", "cf", "fig", "eq", "approx", "nr", "ca", "bzw",
        "bsp", "vgl", "ggf", "evtl", "inkl", "bd", "dipl",
    )
)  # fmt: skip
BEFORE_NUMBERS = frozenset(("no", "nos", "vol", "p", "pp", "art", "sec", "ch"))
MONTHS = ("Jan", "Feb", "Mär", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez")  # German, as in "3. Mai"
LOOKED_AHEAD = 12  # characters examined after a mark
INITIAL = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")  # "J" of "J. Smith", "U.S" of "U.S. Army", "z.B"


def sentences(text: str) -> list[str]:
    """Return the sentences of a text in order, without those that contain nothing to speak.

    Each has at most MAX_SENTENCE_CHARACTERS, with single spaces as white space and without control characters.
    """
    found = (piece for line in _paragraphs(text) for whole in _ended(line) for piece in _short(whole))
    return [piece for piece in found if any(char.isalnum() for char in piece)]


def _paragraphs(text: str) -> Iterator[str]:
    """Yield paragraphs, with their lines joined by spaces.

    A paragraph ends at an empty line, and at a line break unless the line before is at least WRAPPED_CHARACTERS long or
    the next line begins with a lower-case letter.
    """
    held = ""
    last = 0
    for line in text.splitlines():
        plain = " ".join("".join(char if char.isprintable() else " " for char in line).split())
        goes_on = bool(plain) and (plain[0].islower() or last >= WRAPPED_CHARACTERS)
        if held and not goes_on:
            yield held
            held = ""
        held = f"{held} {plain}" if held else plain
        last = len(plain)
    if held:
        yield held


def _ended(line: str) -> Iterator[str]:
    begin = 0
    for found in END.finditer(line):
        if _is_end(line, begin, found):
            yield line[begin : found.end()].strip()
            begin = found.end()
    if rest := line[begin:].strip():
        yield rest


def _is_end(line: str, begin: int, found: re.Match[str]) -> bool:
    mark, after = found.group(), line[found.end() : found.end() + LOOKED_AHEAD]
    if mark[0] in OTHER_ENDS:
        return True
    if not after:
        return True
    if not after[0].isspace():
        return "\u2e80" <= after[0] <= "\uffef" and mark[0] != "."  # CJK after "?"
    following = after.lstrip().lstrip(OPENERS).lstrip()
    if following and (following[0].islower() or (mark == "." and not following[0].isalnum())):
        return False
    if mark != ".":
        return True
    word = line[max(begin, line.rfind(" ", begin, found.start()) + 1) : found.start()].lstrip(OPENERS)
    if word.lower() in BEFORE_NUMBERS or word.isdecimal():
        # No end: "No. 5", "3. 10.", "3. Mai", and the "3. " of a list.
        counts = word.isdecimal() and len(word) <= 2 and (found.start() == len(word) or following.startswith(MONTHS))
        return not following[:1].isdecimal() and not counts
    if INITIAL.fullmatch(word) and word != "I":
        return False
    return word.lower() not in SHORTENED


def _short(sentence: str) -> Iterator[str]:
    """Yield the sentence in pieces of at most MAX_SENTENCE_CHARACTERS.

    It is cut after the last comma or similar mark, else at the last space, else at the limit.
    """
    while len(sentence) > MAX_SENTENCE_CHARACTERS:
        cuts = [found.end() for found in CUTS.finditer(sentence, 0, MAX_SENTENCE_CHARACTERS + 1)]
        at = next((cut for cut in reversed(cuts) if 0 < cut <= MAX_SENTENCE_CHARACTERS), 0)
        at = at or sentence.rfind(" ", 1, MAX_SENTENCE_CHARACTERS + 1)
        at = at if at > 0 else MAX_SENTENCE_CHARACTERS
        yield sentence[:at].strip()
        sentence = sentence[at:].strip()
    if sentence:
        yield sentence
