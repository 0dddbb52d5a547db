"""The conformance suite, which checks an engine against the rules for all engines.

As a test, with pytest:

    from persona_studio.engine.testing import EngineConformance

    class TestMine(EngineConformance):
        engine = MyEngine

As a command: `python -m persona_studio.engine.testing package.module:MyEngine`.
"""

from collections.abc import Callable
from inspect import getattr_static
from typing import Any, ClassVar

from engines.api import Engine, FrameEngine, MotionTemplate
from engines.clip import ClipEngine
from persona_studio.engine.testing.clip_subject import ClipSubject
from persona_studio.engine.testing.frame_subject import FrameSubject
from persona_studio.engine.testing.rules import CLIP_RULES, FRAME_RULES, Rule, rules_for, sentence
from persona_studio.engine.testing.subject import BrokenRuleError
from shared.avatar.model import Avatar

__all__ = [
    "CLIP_RULES",
    "FRAME_RULES",
    "BrokenRuleError",
    "ClipSubject",
    "EngineConformance",
    "FrameSubject",
    "Rule",
    "rules_for",
    "sentence",
]


class EngineConformance:
    """Base of a test class with one test for each rule; rules that do not apply are skipped with a reason.

    engine: the engine's class, or a function that makes an engine. avatar: a function that returns the avatar for the
    tests; None for the sample portrait, which is on a swaying body for an engine that draws the plate's own region or
    whole frames. For frame engines only: template: a function that returns recorded motion, for an engine that plays
    recorded motion but cannot record it. tolerance: grey levels by which frames may differ with low_memory, in a batch
    and in `together`.
    """

    engine: ClassVar[Callable[[], FrameEngine] | Callable[[], ClipEngine]]
    avatar: ClassVar[Callable[[], Avatar] | None] = None
    template: ClassVar[Callable[[], MotionTemplate] | None] = None
    tolerance: ClassVar[int] = 0
    _subject: ClassVar[FrameSubject | ClipSubject | None] = None

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Parametrise the test with the engine's rules; called by pytest."""
        if "rule" in metafunc.fixturenames:
            made: Engine = _function(metafunc.cls, "engine")()
            metafunc.parametrize("rule", rules_for(made), ids=lambda rule: rule.__name__)

    def test_rule(self, rule: Rule) -> None:
        """Check that the engine keeps the rule."""
        rule(self._shared_subject())

    @classmethod
    def _shared_subject(cls) -> FrameSubject | ClipSubject:
        """The subject that all rules share: opening an engine may take long."""
        if "_subject" not in vars(cls):
            engine, avatar, template = (_function(cls, name) for name in ("engine", "avatar", "template"))
            tried = avatar and avatar()
            if isinstance(engine(), ClipEngine):
                cls._subject = ClipSubject(engine, tried)
            else:
                cls._subject = FrameSubject(engine, tried, template=template and template(), tolerance=cls.tolerance)
        assert cls._subject is not None
        return cls._subject


def _function(of: type[EngineConformance], name: str) -> Any:
    """The value of a class attribute, which may be a function, without binding it as a method."""
    named = getattr_static(of, name)
    return named.__func__ if isinstance(named, staticmethod) else named
