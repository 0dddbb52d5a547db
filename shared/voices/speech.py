"""Speaks a sentence by a voice: checks and limits the voice's output and converts it to 48 kHz."""

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

FIRST_SOUND_S = 30.0  # longest wait for a voice's first block, before which it may load a model
STALL_S = 10.0  # longest wait between two blocks
MAX_SENTENCE_SAMPLES = 120 * SOUND_RATE_HZ  # for 300 characters; longer output is assumed never to end


@dataclass(frozen=True, slots=True)
class SpokenPart:
    """A block of a sentence: (n,) int16 mono at 48 kHz, and the words whose times became known with it."""

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
            # In pieces of half a second: a long block must not be resampled in one step.
            for at in range(0, max(1, len(block.pcm)), rate):
                samples = decoder.feed(block.pcm[at : at + rate])
                total += len(samples)
                if total > MAX_SENTENCE_SAMPLES:
                    raise VoiceError(f"{voice.title} does not finish a sentence; use another voice.")
                yield SpokenPart(samples, () if at else block.words)
    samples = decoder.flush() if decoder else np.zeros(0, np.int16)
    if not total + len(samples):
        raise VoiceError(f"{voice.title} sent no sound for a sentence; try again, or use another voice.")
    yield SpokenPart(samples)


async def _next(voice: Voice, blocks: AsyncGenerator[Spoken, None], wait_s: float) -> Spoken | None:
    """The next block, None after the last. Any exception of a voice becomes VoiceError."""
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
