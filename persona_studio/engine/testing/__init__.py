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

from engines.api import FrameEngine, MotionTemplate
from persona_studio.engine.testing.rules import RULES, Rule, sentence
from persona_studio.engine.testing.subject import BrokenRuleError, Subject
from shared.avatar.model import Avatar

__all__ = ["RULES", "BrokenRuleError", "EngineConformance", "Rule", "Subject", "sentence"]


class EngineConformance:
    """One test for each rule, for pytest to collect in a subclass. A rule that does not apply is skipped with its reason.

    engine: the engine's class, or a function that makes one. avatar: a function that returns the one to try it on; the
    sample portrait, on a swaying body where the engine draws the plate's own pixels. template: one that returns recorded
    motion, for an engine that plays some and records none. tolerance: grey levels by which frames may differ with
    little memory, in a batch and drawn together.
    """

    engine: ClassVar[Callable[[], FrameEngine]]
    avatar: ClassVar[Callable[[], Avatar] | None] = None
    template: ClassVar[Callable[[], MotionTemplate] | None] = None
    tolerance: ClassVar[int] = 0
    _subject: ClassVar[Subject | None] = None

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Called by pytest: a test of each rule."""
        if "rule" in metafunc.fixturenames:
            metafunc.parametrize("rule", RULES, ids=lambda rule: rule.__name__)

    def test_rule(self, rule: Rule) -> None:
        """Keeps the rule."""
        rule(self._shared_subject())

    @classmethod
    def _shared_subject(cls) -> Subject:
        """One for all rules: opening an engine may take long."""
        if "_subject" not in vars(cls):
            avatar, template = _function(cls, "avatar"), _function(cls, "template")
            cls._subject = Subject(
                _function(cls, "engine"), avatar and avatar(), template and template(), tolerance=cls.tolerance
            )
        assert cls._subject is not None
        return cls._subject


def _function(of: type[EngineConformance], name: str) -> Any:
    """What a class names, as it stands there: it is no method."""
    named = getattr_static(of, name)
    return named.__func__ if isinstance(named, staticmethod) else named
