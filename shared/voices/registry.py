"""The installed voices by name: the studio's own and those of other packages, each imported when it is needed."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from shared.config.settings import VOICE_GROUP
from shared.errors import StudioError, named
from shared.unavailable import Unavailable
from shared.voices.api import Voice
from shared.voices.settings import VoiceSettings

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
FIRST, LAST = ("openai", "piper"), ("espeak",)  # order in which a voice is chosen; all others come between
NO_VOICE = (
    "No voice can speak on this machine: install one (sudo apt-get install espeak-ng), or set "
    "STUDIO_VOICE_OPENAI_URL to a server with the OpenAI speech API; `studio voices` lists all voices."
)


@dataclass(frozen=True, slots=True)
class VoiceSummary:
    """A voice as shown to users.

    chosen: whether it speaks texts for which no voice is named. unavailable, command: why it cannot speak on this
    machine and the command that helps, else "".
    """

    name: str
    title: str
    chosen: bool
    unavailable: str
    command: str


@cache
def _points() -> tuple[EntryPoint, ...]:
    """The voices' entry points, read once: searching all packages takes longer than the first sound may."""
    return tuple(entry_points(group=VOICE_GROUP))


def _installed() -> dict[str, EntryPoint]:
    found = {point.name: point for point in _points() if NAME.fullmatch(point.name)}

    def place(name: str) -> tuple[int, str]:
        rank = FIRST.index(name) if name in FIRST else len(FIRST) + LAST.count(name)
        return rank, name

    return {name: found[name] for name in sorted(found, key=place)}


def load_voice(name: str) -> Voice:
    """Return the voice of this name.

    Raises StudioError if there is none, its module cannot be imported, or the class is not a voice of this name.
    """
    found = _installed()
    if name not in found:
        installed = ", ".join(found)
        cure = f"choose one of {installed}" if found else "none is installed: run `make setup`, as after every update"
        raise StudioError(f"There is no voice '{name[:60]}'; {cure}.")
    point = found[name]
    cure = f"update or remove the package {point.dist.name}" if point.dist is not None else "update its package"
    try:
        made = point.load()()
    except (Exception, SystemExit) as error:  # another package's code may raise anything on import
        raise StudioError(f"Voice '{name}' cannot be loaded from {point.value} ({named(error)}); {cure}.") from None
    if not isinstance(made, Voice) or made.name != name:
        raise StudioError(
            f"Voice '{name}' cannot be loaded from {point.value} (it is not a Voice of that name); {cure}."
        )
    return made


def problem_of(voice: Voice) -> Unavailable | None:
    """Return why a voice cannot speak on this machine, None if it can."""
    try:
        return voice.probe()
    except StudioError as error:
        return Unavailable(str(error))
    except Exception as error:  # another package's code may raise anything
        return Unavailable(f"The check of voice {voice.title} failed ({named(error)}); update its package.")


def open_voice(name: str) -> Voice:
    """Return the voice of this name, for "" the first that can speak on this machine.

    Raises StudioError with one sentence if it cannot speak or there is none.
    """
    if name:
        voice = load_voice(name)
        if (problem := problem_of(voice)) is not None:
            raise StudioError(problem.reason)
        return voice
    for each in _installed():
        try:
            voice = load_voice(each)
        except StudioError:
            continue  # `studio voices` shows the reason
        if problem_of(voice) is None:
            return voice
    raise StudioError(NO_VOICE)


def voice_summaries(chosen: str) -> list[VoiceSummary]:
    """Return a summary of each voice, in the order of choice. chosen: the setting `voice`."""
    rows: list[VoiceSummary] = []
    for name in _installed():
        title, problem = name, None
        try:
            voice = load_voice(name)
            title, problem = voice.title, problem_of(voice)
        except StudioError as error:
            problem = Unavailable(str(error))
        taken = not problem and (name == chosen or (not chosen and not any(row.chosen for row in rows)))
        reason, command = (problem.reason, problem.command) if problem else ("", "")
        rows.append(VoiceSummary(name, title, taken, reason, command))
    return rows


def settings_of_voices() -> list[VoiceSettings]:
    """Settings that voices define themselves. Raises StudioError for a wrong one."""
    found = (load_voice(name).settings() for name in _installed())
    return [own for own in found if own is not None]
