"""The rules that every engine keeps, in the order in which they are checked."""

from collections.abc import Callable
from typing import Any

from engines.api import Engine
from engines.clip import ClipEngine
from persona_studio.engine.testing import clip_rules, frame_rules, identity_rules, session_rules, template_rules

# Receives the subject; raises BrokenRuleError, or SkipTest if the rule does not apply. The docstring states the rule.
Rule = Callable[[Any], None]

IDENTITY_RULES: tuple[Rule, ...] = (
    identity_rules.probe_is_cheap,
    identity_rules.info_is_consistent,
    identity_rules.options_travel,
    identity_rules.prepare_keeps_to_itself,
)
FRAME_RULES: tuple[Rule, ...] = (
    *IDENTITY_RULES,
    template_rules.templates_are_its_own,
    frame_rules.frames_have_their_form,
    frame_rules.frames_have_the_drivers_times,
    frame_rules.flush_gives_what_is_held,
    frame_rules.voice_gives_every_tick,
    frame_rules.voice_may_be_cut_anyhow,
    frame_rules.undrawn_frames_keep_the_state,
    frame_rules.nothing_is_carried,
    frame_rules.frames_name_their_plate,
    frame_rules.options_are_taken_over,
    frame_rules.the_ladder_ends,
    session_rules.the_first_is_like_the_second,
    session_rules.state_is_carried_whole,
    session_rules.waiting_is_carried_too,
    session_rules.reset_forgets,
    session_rules.little_memory_shows_the_same,
    session_rules.threads_may_change,
    session_rules.sessions_are_apart,
    session_rules.a_batch_shows_single_frames,
    session_rules.begin_is_step,
    session_rules.together_is_one_by_one,
)
CLIP_RULES: tuple[Rule, ...] = (
    *IDENTITY_RULES,
    clip_rules.it_is_offline,
    clip_rules.units_are_a_graph,
    clip_rules.a_clip_is_made,
    clip_rules.a_unit_may_begin_again,
    clip_rules.units_stop_when_asked,
)


def rules_for(engine: Engine) -> tuple[Rule, ...]:
    """The rules for an engine's kind."""
    return CLIP_RULES if isinstance(engine, ClipEngine) else FRAME_RULES


def sentence(rule: Rule) -> str:
    """Return the rule in words, which is its docstring."""
    return " ".join((rule.__doc__ or "").split())
