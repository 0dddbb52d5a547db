"""Speaks a text into a file, which is made once for each text and voice.

Each sentence is stored when it is done, so that an interrupted run can continue.

`python -m shared.voices.speech_file` reads {text, voice} as JSON on standard input, and prints {"done", "total"} while
it speaks and {"file", "captions"} at the end, or {"error"}.
"""

import asyncio
import hashlib
import json
import os
import shutil
import sys
import time
import wave
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.config.settings import Settings, load_settings
from shared.errors import NoSpaceError, StudioError
from shared.runtime.clock import SOUND_RATE_HZ, US
from shared.voices.api import SpokenWord, Voice
from shared.voices.audible import AudibleSpan
from shared.voices.registry import open_voice
from shared.voices.sentences import sentences
from shared.voices.speech import spoken_sentence
from shared.voices.webvtt import Cue, webvtt

MAX_FILE_CHARACTERS = 200_000  # about four hours
FOLDER = "speeches"  # in the home
KEPT_S = 7 * 86_400  # time after its last use for which a speech file is kept
SPEECH, CAPTIONS, LINES = "speech.wav", "speech.vtt", "lines.json"

SpeechProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class FileLine:
    """A sentence of a speech file.

    start, end: beginning and end of its audible sound, in seconds of the file. words: as reported by the voice, with
    times in seconds of the file.
    """

    text: str
    start: float
    end: float
    words: tuple[SpokenWord, ...] = ()


@dataclass(frozen=True, slots=True)
class SpeechFile:
    """A spoken text. path: WAV of 16 bit mono at 48 kHz. captions: WebVTT of the sentences. lines: the sentences."""

    path: Path
    captions: Path
    lines: tuple[FileLine, ...]


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file. Raises StudioError with one sentence."""
    try:
        with path.open("rb") as file:
            raw = file.read(4 * MAX_FILE_CHARACTERS + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise StudioError(f"{path.name} cannot be read ({error.strerror}); choose another file.") from None
    except UnicodeDecodeError:
        raise StudioError(f"{path.name} is not UTF-8 text; save it as UTF-8.") from None
    check_text(text, path.name)
    return text


def check_text(text: str, name: str) -> list[str]:
    """The sentences of a text. Raises StudioError where it has none or is too long."""
    if len(text) > MAX_FILE_CHARACTERS:
        raise StudioError(f"{name} is longer than {MAX_FILE_CHARACTERS} characters; render it in parts.")
    if not (found := sentences(text)):
        raise StudioError(f"{name} contains nothing that can be spoken; write a sentence.")
    return found


def make_speech(
    text: str, settings: Settings, voice: str = "", progress: SpeechProgress = lambda done, total: None
) -> SpeechFile:
    """Speak a text into a file in the home, or return the file if it exists already.

    voice: name of the voice, "" for the one in the settings. progress: called with the number of sentences done and in
    total. Raises StudioError with one sentence; sentences that were done before are kept.
    """
    found = check_text(text, "The text")
    speaker = open_voice(voice or settings.voice)
    folder = settings.home / FOLDER / _digest(speaker, found)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        _sweep(folder.parent)
        if not all((folder / name).exists() for name in (SPEECH, CAPTIONS, LINES)):
            asyncio.run(_speak_all(speaker, found, folder, progress))
            _join(found, folder)
        progress(len(found), len(found))
        return SpeechFile(folder / SPEECH, folder / CAPTIONS, _read_lines(folder))
    except OSError as error:
        raise NoSpaceError(
            f"The speech cannot be kept in {folder.parent} ({error.strerror}); free some space."
        ) from None


def _digest(voice: Voice, found: list[str]) -> str:
    """A hash of voice, its settings (secrets as stars) and sentences, which names the speech's folder."""
    own = voice.settings()
    said = [voice.name, own.model_dump(mode="json") if own else {}, found]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


async def _speak_all(voice: Voice, found: list[str], folder: Path, progress: SpeechProgress) -> None:
    for number, sentence in enumerate(found):
        progress(number, len(found))
        if not (folder / f"{number}.json").exists():
            await _speak_one(voice, sentence, folder / str(number))


async def _speak_one(voice: Voice, sentence: str, to: Path) -> None:
    """Write NUMBER.wav, then NUMBER.json with its words, which marks the sentence as complete."""
    part, words = to.with_suffix(f".{os.getpid()}"), []
    try:
        with wave.open(str(part), "wb") as file:
            _set_format(file)
            async with aclosing(spoken_sentence(voice, sentence)) as parts:
                async for each in parts:
                    file.writeframes(each.samples.tobytes())
                    words += [asdict(word) for word in each.words]
        part.rename(to.with_suffix(".wav"))
        part.write_text(json.dumps(words), encoding="utf-8")
        part.rename(to.with_suffix(".json"))
    finally:
        part.unlink(missing_ok=True)


def _join(found: list[str], folder: Path) -> None:
    """Write the WAV of all sentences, their captions and their lines, each atomically; remove the single sentences."""
    lines: list[FileLine] = []
    at = 0
    part = folder / f"speech.{os.getpid()}"
    try:
        with wave.open(str(part), "wb") as file:
            _set_format(file)
            for number, sentence in enumerate(found):
                with wave.open(str(folder / f"{number}.wav"), "rb") as read:
                    count = read.getnframes()
                    sound = read.readframes(count)
                file.writeframes(sound)
                words = json.loads((folder / f"{number}.json").read_text(encoding="utf-8"))
                lines.append(_line(sentence, sound, words, at))
                at += count
        part.rename(folder / SPEECH)
        part.write_text(webvtt(Cue(round(line.start * US), round(line.end * US), line.text) for line in lines), "utf-8")
        part.rename(folder / CAPTIONS)
        part.write_text(json.dumps([asdict(line) for line in lines]), encoding="utf-8")
        part.rename(folder / LINES)
    finally:
        part.unlink(missing_ok=True)
    for number in range(len(found)):
        (folder / f"{number}.wav").unlink(missing_ok=True)
        (folder / f"{number}.json").unlink(missing_ok=True)


def _line(sentence: str, sound: bytes, words: list[dict[str, Any]], at: int) -> FileLine:
    """The line of a sentence whose first sample has the number `at` in the file."""
    samples, heard, begin = np.frombuffer(sound, np.int16), AudibleSpan(), at / SOUND_RATE_HZ
    heard.add(samples, at)
    first = at if heard.first is None else heard.first
    stop = at + len(samples) if heard.stop is None else heard.stop
    moved = tuple(SpokenWord(word["text"], word["start"] + begin, word["end"] + begin) for word in words)
    return FileLine(sentence, first / SOUND_RATE_HZ, stop / SOUND_RATE_HZ, moved)


def _set_format(file: wave.Wave_write) -> None:
    file.setnchannels(1)
    file.setsampwidth(2)
    file.setframerate(SOUND_RATE_HZ)


def _read_lines(folder: Path) -> tuple[FileLine, ...]:
    rows: list[dict[str, Any]] = json.loads((folder / LINES).read_text(encoding="utf-8"))
    return tuple(FileLine(**row | {"words": tuple(SpokenWord(**word) for word in row["words"])}) for row in rows)


def _sweep(folder: Path) -> None:
    """Remove speeches that have not been used for KEPT_S."""
    for old in folder.iterdir():
        if old.stat().st_mtime < time.time() - KEPT_S:
            shutil.rmtree(old, ignore_errors=True)


def main() -> int:
    """Speak the text on standard input; return the exit code."""

    def told(done: int, total: int) -> None:
        print(json.dumps({"done": done, "total": total}), flush=True)

    try:
        asked = json.load(sys.stdin)
        made = make_speech(asked["text"], load_settings(), asked["voice"], told)
    except StudioError as error:
        print(json.dumps({"error": str(error)}))
        return 1
    print(json.dumps({"file": str(made.path), "captions": str(made.captions)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
