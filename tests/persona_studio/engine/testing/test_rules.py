"""The conformance suite passes an engine that keeps every rule, and fails an engine that breaks any of them."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.sample_avatar import sample_avatar
from persona_studio.engine import Avatar, VoiceBlock, VoiceTicks
from persona_studio.engine.testing import (
    CLIP_RULES,
    FRAME_RULES,
    ClipSubject,
    EngineConformance,
    FrameSubject,
    Rule,
    sentence,
)
from tests.support.engines.clip_rule_engines import WRONG_CLIPS, GoodClip
from tests.support.engines.rule_engines import AHEAD_US, WRONG, Good, Still

ROOT = Path(__file__).parents[4]


class TestGood(EngineConformance):
    engine = Good
    avatar = sample_avatar


class TestStill(EngineConformance):
    engine = Still
    avatar = sample_avatar


class TestClip(EngineConformance):
    engine = GoodClip
    avatar = sample_avatar


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return sample_avatar()


@pytest.mark.parametrize("rule", FRAME_RULES, ids=lambda rule: rule.__name__)
def test_an_engine_that_breaks_a_rule_fails_it(rule: Rule, avatar: Avatar) -> None:
    engine, words = WRONG[rule.__name__]
    try:
        with pytest.raises((AssertionError, RuntimeError), match=words):
            rule(FrameSubject(engine, avatar))
    finally:
        sys.modules.pop("tensorflow", None)


@pytest.mark.parametrize("rule", CLIP_RULES[4:], ids=lambda rule: rule.__name__)
def test_a_clip_engine_that_breaks_a_rule_fails_it(rule: Rule, avatar: Avatar) -> None:
    engine, words = WRONG_CLIPS[rule.__name__]
    with pytest.raises(AssertionError, match=words):
        rule(ClipSubject(engine, avatar))


def test_every_rule_has_a_sentence_and_an_engine_that_breaks_it() -> None:
    assert set(WRONG) == {rule.__name__ for rule in FRAME_RULES}
    assert set(WRONG_CLIPS) == {rule.__name__ for rule in CLIP_RULES} - set(WRONG)
    assert all(sentence(rule).endswith(".") for rule in (*FRAME_RULES, *CLIP_RULES))


def test_the_command_says_a_line_for_each_rule() -> None:
    def command(engine: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        asked = [sys.executable, "-m", "persona_studio.engine.testing", engine, *arguments]
        return subprocess.run(asked, cwd=ROOT, capture_output=True, encoding="utf-8")

    good = command("tests.support.engines.rule_engines:Good")
    lines = good.stdout.splitlines()
    assert good.returncode == 0, good.stdout + good.stderr
    assert [line.split()[1] for line in lines] == [rule.__name__ for rule in FRAME_RULES]
    assert {line.split()[0] for line in lines} == {"ok", "skipped"}
    assert "skipped  nothing_is_carried" in good.stdout and "it depends on motion" in good.stdout
    wrong = command("tests.support.engines.rule_engines:Holding", "--rule", "flush_gives_what_is_held")
    assert wrong.returncode == 1 and wrong.stdout.startswith("failed   flush_gives_what_is_held"), wrong.stderr
    assert "is never shown" in wrong.stdout
    none = command("tests.support.engines.rule_engines:Coarse")
    assert none.returncode == 2 and none.stderr.startswith(
        "tests.support.engines.rule_engines:Coarse cannot be checked"
    )
    for engine in ("liveportrait.engine:LivePortraitEngine", "personalive.engine:PersonaLiveEngine"):
        ours = command(f"engines.{engine}", "--rule", "probe_is_cheap", "--rule", "info_is_consistent")
        assert ours.returncode == 0 and re.fullmatch(r"ok .*\nok .*\n", ours.stdout), ours.stdout + ours.stderr
    assert "There is no engine nowhere:At" in command("nowhere:At").stderr
    assert (
        "There is no rule x; choose from probe_is_cheap"
        in command("engines.mesh.engine:MeshEngine", "--rule", "x").stderr
    )


def test_voice_ticks_have_the_sound_before_their_reach() -> None:
    """Each sample's value is its position: the window of each tick ends `ahead` after the time of the tick."""
    ramp = (np.arange(48_000) % 30_000).astype(np.int16)
    for size in (1, 333, 1920, 48_000):
        ticks, heard = VoiceTicks(ahead_us=AHEAD_US, window_us=10_000), []
        for at in range(0, len(ramp), size):
            heard += ticks.hear(VoiceBlock(1_000_000 + at * 1_000_000 // 48_000, ramp[at : at + size]))
        heard += ticks.flush()
        assert [pts for pts, _ in heard] == [1_000_000 + 40_000 * number for number in range(25)], size
        for number, (_, samples) in enumerate(heard):
            last = number * 1920 + 960
            assert samples.tolist() == [number % 30_000 for number in range(last - 480, last)], (size, number)
