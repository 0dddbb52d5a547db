"""A text as speech: sentence after sentence, checked and bounded, at the studio's own sample rate."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import StudioError, named
from shared.media.pcm import HIGHEST, LOWEST, PcmDecoder
from shared.runtime.clock import SOUND_RATE_HZ
from shared.voices.api import Spoken, SpokenWord, Voice, VoiceError

FIRST_SOUND_S = 30.0  # seconds that a voice may take before its first block; a network may load a model then
STALL_S = 10.0  # and between two
MAX_SENTENCE_SAMPLES = 120 * SOUND_RATE_HZ  # of a sentence of 300 characters; what is longer does not end by itself


@dataclass(frozen=True, slots=True)
class SpokenPart:
    """A block of a sentence: (n,) int16 mono at 48 kHz, and the words whose times came with it."""

    samples: NDArray[np.int16]
    words: tuple[SpokenWord, ...] = ()


async def spoken_sentence(voice: Voice, sentence: str) -> AsyncGenerator[SpokenPart, None]:
    """Yield a sentence's sound as the voice makes it. Raises VoiceError where it fails, stalls or sends none."""
    decoder: PcmDecoder | None = None
    rate = total = 0
    async with aclosing(voice.speak(sentence)) as blocks:
        while (block := await _next(voice, blocks, STALL_S if decoder else FIRST_SOUND_S)) is not None:
            if decoder is None:
                if not LOWEST <= block.rate <= HIGHEST:
                    raise VoiceError(f"{voice.title} sends sound of {block.rate} Hz; use a voice of 8000 to 96000 Hz.")
                decoder, rate = PcmDecoder(block.rate, "s16"), block.rate
            elif block.rate != rate:
                raise VoiceError(f"{voice.title} changes its sample rate within a sentence; use another voice.")
            # In pieces: a voice that sends all at once must not be resampled in one go.
            for at in range(0, max(1, len(block.pcm)), rate):
                samples = decoder.feed(block.pcm[at : at + rate])
                total += len(samples)
                if total > MAX_SENTENCE_SAMPLES:
                    raise VoiceError(f"{voice.title} does not come to the end of a sentence; use another voice.")
                yield SpokenPart(samples, () if at else block.words)
    samples = decoder.flush() if decoder else np.zeros(0, np.int16)
    if not total + len(samples):
        raise VoiceError(f"{voice.title} sent no sound for a sentence; try again, or use another voice.")
    yield SpokenPart(samples)


async def _next(voice: Voice, blocks: AsyncGenerator[Spoken, None], wait_s: float) -> Spoken | None:
    """The next block, None after the last. Another package's voice may fail at anything."""
    try:
        async with asyncio.timeout(wait_s):
            return await anext(blocks)
    except StopAsyncIteration:
        return None
    except TimeoutError:
        raise VoiceError(
            f"{voice.title} has sent nothing for {wait_s:.0f} s; try again, or use another voice."
        ) from None
    except VoiceError:
        raise
    except StudioError as error:
        raise VoiceError(str(error)) from None
    except Exception as error:
        raise VoiceError(f"{voice.title} failed ({named(error)}); update its package, or use another voice.") from None
