"""The rules that every frame engine keeps, in the order in which they are checked."""

from collections.abc import Callable

from persona_studio.engine.testing import frame_rules, identity_rules, session_rules
from persona_studio.engine.testing.subject import Subject

Rule = Callable[
    [Subject], None
]  # raises BrokenRuleError, or SkipTest where it does not apply; its docstring is the rule

RULES: tuple[Rule, ...] = (
    identity_rules.probe_is_cheap,
    identity_rules.info_is_consistent,
    identity_rules.options_travel,
    identity_rules.prepare_keeps_to_itself,
    identity_rules.templates_are_its_own,
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


def sentence(rule: Rule) -> str:
    """The rule in words."""
    return " ".join((rule.__doc__ or "").split())
