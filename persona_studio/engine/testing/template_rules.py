"""The rule on the motion templates of a frame engine."""

import re
from unittest import SkipTest

from engines.api import Driving
from persona_studio.engine.testing.frame_subject import FrameSubject
from persona_studio.engine.testing.subject import BrokenRuleError, require
from shared.errors import StudioError


def templates_are_its_own(subject: FrameSubject) -> None:
    """The engine refuses files that are not its motion templates, and reads the templates that it recorded."""
    info, suffixes = subject.info, subject.engine.template_suffixes
    require(
        ("template" in info.inputs) == bool(suffixes),
        "It declares template_suffixes without the input 'template', or the other way round.",
    )
    require(
        all(re.fullmatch(r"\.[a-z0-9]{1,8}", each) for each in suffixes), f"Its template_suffixes are {set(suffixes)}."
    )
    folder = subject.fresh_avatar().folder
    path = folder / f"strange{min(suffixes, default='.npz')}"
    path.write_bytes(b"no motion at all")
    try:
        subject.engine.read_template(path)
    except StudioError:
        pass
    else:
        raise BrokenRuleError("It reads a motion template from a file that is none.")
    if "template" not in info.inputs:
        return
    if (template := subject.template) is None:
        raise SkipTest("it records no motion, and no template was given")
    kept = folder / "kept.npz"
    template.save(kept)
    again = subject.engine.read_template(kept)
    require(
        len(again) == len(template) > 0, f"A template of {len(template)} frames has {len(again)} when it is read again."
    )
    require(
        again.rate == template.rate, f"A template at {template.rate} has a rate of {again.rate} when it is read again."
    )
    frames = subject.open().step(Driving(0, None, None, recorded=again[0]))
    require(frames or info.frames_held, "A frame of its own template gives no frame.")
