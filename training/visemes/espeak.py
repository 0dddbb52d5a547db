"""espeak-ng through ctypes: synthesised speech and the exact start of each phoneme.

Needs the Debian packages libespeak-ng1 and espeak-ng-data. This speech is used for training and tests only. The studio
contains no part of espeak-ng; it may call an installed program as a voice (`shared.voices.espeak`).
"""

import ctypes
import ctypes.util
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

SYNCHRONOUS, PHONEME_EVENTS, PHONEME_IPA, DONT_EXIT = 2, 0x1, 0x2, 0x8000
UTF8, PHONEMES = 1, 0x100
END, PHONEME = 0, 7  # event types
RATE, PITCH, RANGE = 1, 3, 4  # parameters


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True, slots=True)
class Phoneme:
    """One spoken phoneme.

    symbol: IPA. start: seconds from the beginning of the sound.
    """

    symbol: str
    start: float


@dataclass(frozen=True, slots=True)
class SpokenText:
    """Synthesised speech of a text.

    samples: (n,) int16 mono at `rate`. phonemes: in order; each lasts until the next begins.
    """

    samples: NDArray[np.int16]
    rate: int
    phonemes: tuple[Phoneme, ...]


@cache
def _library() -> tuple[Any, int] | None:
    name = ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1"
    try:
        library = ctypes.CDLL(name)
    except OSError:
        return None
    rate = int(library.espeak_Initialize(SYNCHRONOUS, 0, None, PHONEME_EVENTS | PHONEME_IPA | DONT_EXIT))
    return (library, rate) if rate > 0 else None


def espeak_installed() -> bool:
    """Whether espeak-ng and its data are installed."""
    return _library() is not None


def speak_text(
    text: str, voice: str = "en-us", *, words_a_minute: int = 165, pitch: int = 50, liveliness: int = 50
) -> SpokenText:
    """Return the text spoken by a voice such as `en-us+f2`. Raises RuntimeError if that voice is not installed."""
    loaded = _library()
    if loaded is None:
        raise RuntimeError("espeak-ng is not installed (Debian: libespeak-ng1 and espeak-ng-data)")
    library, rate = loaded
    blocks: list[NDArray[np.int16]] = []
    phonemes: list[Phoneme] = []

    def collect(samples: Any, count: int, events: Any) -> int:
        if count > 0 and samples:
            blocks.append(np.ctypeslib.as_array(samples, (count,)).astype(np.int16))
        index = 0
        while events and events[index].type != END:
            if events[index].type == PHONEME:
                symbol = bytes(events[index].id.string).decode("utf-8", "ignore")
                phonemes.append(Phoneme(symbol, events[index].audio_position / 1000))
            index += 1
        return 0

    callback = _Callback(collect)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise RuntimeError(f"espeak-ng has no voice {voice}")
    for parameter, value in ((RATE, words_a_minute), (PITCH, pitch), (RANGE, liveliness)):
        library.espeak_SetParameter(parameter, value, 0)
    raw = text.encode()
    library.espeak_Synth(raw, len(raw) + 1, 0, 1, 0, UTF8 | PHONEMES, None, None)
    library.espeak_Synchronize()
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.int16)
    return SpokenText(samples, rate, tuple(phonemes))
