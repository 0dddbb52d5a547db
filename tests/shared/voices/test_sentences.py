"""A text is split where a reader takes breath, in every script."""

import pytest

from shared.voices.sentences import MAX_SENTENCE_CHARACTERS, sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("It costs 3.5 euros. Then 1,000.25 more.", ["It costs 3.5 euros.", "Then 1,000.25 more."]),
        ("Mr. Smith met Dr. J. R. Jones. They talked.", ["Mr. Smith met Dr. J. R. Jones.", "They talked."]),
        ("Use e.g. this, i.e. that. Done.", ["Use e.g. this, i.e. that.", "Done."]),
        ("The U.S. Army came at 5 p.m. on Monday.", ["The U.S. Army came at 5 p.m. on Monday."]),
        ("See No. 5 and Fig. 3. It was no. Then yes.", ["See No. 5 and Fig. 3.", "It was no.", "Then yes."]),
        ("So do I. You too.", ["So do I.", "You too."]),
        ("Wait... what? Well… Yes.", ["Wait... what?", "Well…", "Yes."]),
        ('"Stop!" he said. "Why?" She left.', ['"Stop!" he said.', '"Why?"', "She left."]),
        ("He said “No.” Then he left.", ["He said “No.”", "Then he left."]),
        ("What?! No way!!! Ok.", ["What?!", "No way!!!", "Ok."]),
        (
            "Am 3. Mai kam Herr Prof. Dr. Maier, z. B. gestern. Gut.",
            ["Am 3. Mai kam Herr Prof. Dr. Maier, z. B. gestern.", "Gut."],
        ),
        ("¿Qué tal? ¡Bien! Adiós.", ["¿Qué tal?", "¡Bien!", "Adiós."]),
        ("你好。今天3.5度！真的吗？「是的。」他说", ["你好。", "今天3.5度！", "真的吗？", "「是的。」", "他说"]),
        ("こんにちは。元気ですか？はい", ["こんにちは。", "元気ですか？", "はい"]),
        ("क्या हाल है? मैं ठीक हूँ। धन्यवाद।", ["क्या हाल है?", "मैं ठीक हूँ।", "धन्यवाद।"]),
        ("كيف حالك؟ أنا بخير. شكرا", ["كيف حالك؟", "أنا بخير.", "شكرا"]),
        ("Привет! Как дела? Это г. Москва.", ["Привет!", "Как дела?", "Это г. Москва."]),
        ("Visit https://example.com/a.b?c=1 now. Bye.", ["Visit https://example.com/a.b?c=1 now.", "Bye."]),
        ("Version 2.0.1 is out. In 2020. Really.", ["Version 2.0.1 is out.", "In 2020.", "Really."]),
    ],
)
def test_sentences_of_a_line(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_lines_are_joined_where_they_were_wrapped_and_end_where_they_were_not() -> None:
    wrapped = (
        "This line of a letter was full and so it was broken off by\nPeter, who goes on here. And so\non.\n\n"
        "Heading\nText"
    )
    assert sentences(wrapped) == [
        "This line of a letter was full and so it was broken off by Peter, who goes on here.",
        "And so on.",
        "Heading",
        "Text",
    ]
    assert sentences("first line\nSecond line\r\n- third") == ["first line", "Second line", "- third"]


def test_what_cannot_be_spoken_is_left_out() -> None:
    assert sentences("") == sentences(" \n\t ") == sentences("... !!! — 🙂 ***") == []
    assert sentences("a\0b\x1b[2Jc\u202ed.  e") == ["a b [2Jc d. e"]


def test_a_long_sentence_is_cut_at_a_comma_else_at_a_space_else_anywhere() -> None:
    with_commas = ", ".join(["some words of it"] * 60) + "."
    spaced, solid, chinese = "word " * 200, "x" * 1000, "，".join(["一些词语"] * 200) + "。"
    for text in (with_commas, spaced, solid, chinese):
        cut = sentences(text)
        assert all(0 < len(each) <= MAX_SENTENCE_CHARACTERS for each in cut)
        assert "".join("".join(cut).split()) == "".join(text.split())
    assert all(each.endswith((",", ".")) for each in sentences(with_commas))
    assert all(each.endswith(("，", "。")) for each in sentences(chinese))


def test_a_hostile_text_takes_no_longer_than_its_length() -> None:
    for text in (
        "." * 200_000,
        "a." * 100_000,
        "a. " * 60_000,
        "\n" * 200_000,
        '"' * 200_000,
        '."' * 100_000,
        "1. " * 60_000,
    ):
        sentences(text)
