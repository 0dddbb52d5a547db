"""The conformance suite: the rules that every engine keeps, checked on yours.

As a test, where pytest is the runner:

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
    """One test for each rule, for pytest to collect in a subclass.

    A rule that does not apply is skipped with its reason.

    engine: the engine's class, or a function that makes one. avatar: a function that returns the one to try it on; the
    sample portrait, on a swaying body where the engine draws the plate's own pixels or whole frames. For frame engines:
    template: a function that returns recorded motion, for one that plays some and records none. tolerance: grey levels
    by which frames may differ with little memory, in a batch and drawn together.
    """

    engine: ClassVar[Callable[[], FrameEngine] | Callable[[], ClipEngine]]
    avatar: ClassVar[Callable[[], Avatar] | None] = None
    template: ClassVar[Callable[[], MotionTemplate] | None] = None
    tolerance: ClassVar[int] = 0
    _subject: ClassVar[FrameSubject | ClipSubject | None] = None

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Called by pytest: a test of each rule."""
        if "rule" in metafunc.fixturenames:
            made: Engine = _function(metafunc.cls, "engine")()
            metafunc.parametrize("rule", rules_for(made), ids=lambda rule: rule.__name__)

    def test_rule(self, rule: Rule) -> None:
        """Keeps the rule."""
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
    """What a class attribute names, unbound: it is not a method."""
    named = getattr_static(of, name)
    return named.__func__ if isinstance(named, staticmethod) else named
