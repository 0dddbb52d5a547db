"""LivePortrait keeps the rules of every engine, with narrow networks: from a portrait, and from a body's own face."""

import pytest

pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from engines.liveportrait.settings import LivePortraitSettings
from persona_studio.engine.testing import EngineConformance, FrameSubject, Rule, frame_rules, session_rules
from tests.support.engines.liveportrait_material import NarrowEngine, avatar, swaying_body


class TestPortrait(EngineConformance):
    engine = NarrowEngine
    avatar = avatar


class BodyEngine(NarrowEngine):
    """Moves the body video's own face, in batches."""

    def settings(self) -> LivePortraitSettings:
        return LivePortraitSettings(source="body", batch=3)


# The rules that depend on moving the plate's own pixels or on drawing in batches.
BODY_RULES = (
    frame_rules.frames_have_their_form,
    frame_rules.frames_name_their_plate,
    session_rules.state_is_carried_whole,
    session_rules.little_memory_shows_the_same,
    session_rules.together_is_one_by_one,
)


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> FrameSubject:
    avatar = swaying_body(tmp_path_factory.mktemp("swaying"))
    return FrameSubject(BodyEngine, avatar, tolerance=1)  # a batch's sums are rounded otherwise


@pytest.mark.parametrize("rule", BODY_RULES, ids=lambda rule: rule.__name__)
def test_a_body_in_batches_keeps(rule: Rule, body: FrameSubject) -> None:
    rule(body)
