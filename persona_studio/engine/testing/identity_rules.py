"""Rules on an engine's description of itself, and on the files that it stores in an avatar."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any, get_args
from unittest import SkipTest

from engines.api import Dependence, Input, Mode, Unavailable
from engines.options import options_schema
from engines.registry import NAME
from persona_studio.engine.testing.subject import BrokenRuleError, EngineSubject, require
from shared.errors import StudioError
from shared.wire.schema import MAX_ROI_SIDE_PX, MIN_ROI_SIDE_PX

MODELS = ("torch", "tensorflow", "jax", "onnxruntime", "diffusers", "transformers")  # libraries that run models
SIDES_PX = range(MIN_ROI_SIDE_PX, MAX_ROI_SIDE_PX + 1)


def info_is_consistent(subject: EngineSubject[Any]) -> None:
    """The engine's name is valid for a file, a table and a variable; its figures are consistent."""
    info, engine = subject.info, subject.engine
    require(NAME.fullmatch(info.name), f"The name '{info.name}' is not a lower case word of a-z, 0-9 and '_'.")
    require(info.title.strip(), "It has no title.")
    require(info.inputs and info.inputs <= set(get_args(Input)), f"Its inputs are {set(info.inputs)}.")
    require(info.modes and info.modes <= set(get_args(Mode)), f"Its modes are {set(info.modes)}.")
    require(
        info.depends_on in get_args(Dependence),
        f"Its depends_on is '{info.depends_on}', which is not one of the words.",
    )
    require(info.output in ("roi", "region", "frame"), f"Its output is '{info.output}', which is not one of the words.")
    require(info.roi_size in SIDES_PX, f"Its frames have a side of {info.roi_size} pixels, not of 16 to 2048.")
    require(
        info.frames_per_step >= 1 and info.frames_held >= 0,
        "Its frames_per_step is below 1, or its frames_held below 0.",
    )
    require(info.voice_ahead_us >= 0, "Its voice_ahead_us is negative.")
    require("voice" in info.inputs or not info.voice_ahead_us, "It has a voice_ahead_us, but not the input 'voice'.")
    require("motion" in info.inputs or not info.needs_image, "It has needs_image, but not the input 'motion'.")
    table = engine.Settings.TABLE if engine.Settings is not None else info.name
    require(table == info.name, f"Its settings are the table '{table}', not '{info.name}'.")
    require(subject.make().info == info, "Two instances of it describe themselves differently.")


def options_travel(subject: EngineSubject[Any]) -> None:
    """The engine's options are plain JSON and valid on another machine; an unknown one is refused."""
    options = subject.engine.options()
    carried = {} if options is None else json.loads(options.model_dump_json())
    require(subject.make().options(carried) == options, "Its options change when they are sent as JSON and read again.")
    if options is not None:
        options_schema(options)
    try:
        subject.make().options({"no_such_option": 1})
    except StudioError:
        return
    raise BrokenRuleError("It accepts an option that it does not have.")


def probe_is_cheap(subject: EngineSubject[Any]) -> None:
    """`probe` gives its reason in one sentence, and importing and probing load no model library."""
    known = [name for name in MODELS if name in subject.loaded]
    subject.make().weights()
    problem = subject.make().probe()
    loaded = [name for name in MODELS if name in sys.modules and name not in subject.loaded]
    require(not loaded, f"{', '.join(loaded)} was imported by its module or its probe; import it in `open`.")
    if problem is not None:
        require(isinstance(problem, Unavailable), "Its probe returns neither None nor Unavailable.")
        sentence = problem.reason.strip()
        require(sentence and "\n" not in sentence, "Its probe does not give its reason in one sentence.")
    if known:
        raise SkipTest(
            f"{known[0]} was imported before; run `python -m persona_studio.engine.testing`, which starts without it"
        )


def prepare_keeps_to_itself(subject: EngineSubject[Any]) -> None:
    """`prepare` measures an avatar once, into files under the engine's own name."""
    subject.check_available()
    avatar = subject.fresh_avatar()
    before = _files(avatar.folder)
    told: list[tuple[int, int]] = []
    subject.engine.prepare(avatar, lambda done, total: told.append((done, total)))
    first = _files(avatar.folder)
    stray = [name for name in first if name not in before and not name.startswith(f"{subject.info.name}-")]
    require(not stray, f"It writes {', '.join(stray)} into the avatar; use the paths from Avatar.engine_file.")
    changed = [name for name in before if first.get(name) != before[name]]
    require(not changed, f"It changes {', '.join(changed)} of the avatar.")
    require(all(0 <= done <= total for done, total in told), f"Its progress is {told}.")
    subject.make().prepare(avatar)
    require(_files(avatar.folder) == first, "A second `prepare` writes its files again, or with other content.")


def _files(folder: Path) -> dict[str, tuple[int, str]]:
    """Modification time (ns) and SHA-256 of each file, by name."""
    return {
        path.name: (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.iterdir())
        if path.is_file()
    }
