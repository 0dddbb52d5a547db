"""How soon a text is heard: from the request to the first sound of the program, and how long the voice alone takes.

A whole channel, driven by speech, speaks a sentence with a voice server on loopback that answers immediately, and with
espeak-ng if it is installed. The voice's own time is measured in the same run, from its call to its first block.
"""

import asyncio
import os
import time
from contextlib import aclosing
from typing import Any

import httpx2
import numpy as np

from harness.channel import Studio, sample_channel, wait_for
from harness.far_end import spread
from harness.speech_server import speech_server
from shared.voices.registry import open_voice, voice_summaries
from shared.voices.speech import spoken_sentence

TRIALS = 12
SENTENCE = "Attention please, this is a test."
LOUD = 300  # of a sample: espeak-ng begins softly
LONGEST_S = 10.0


def measure() -> dict[str, Any]:
    """Return the milliseconds of each voice.

    `own_ms`: from the voice's call to its first loud block. `heard_ms`: from the request to the program's first loud
    block on the bus. `added_ms`: difference of their medians. `voice_delay_ms`: the delay at which the program plays
    every voice.
    """
    figures: dict[str, Any] = {}
    with speech_server() as server:
        told = {"STUDIO_VOICE_OPENAI_URL": server.url}
        os.environ.update(told)
        able = [row.name for row in voice_summaries("") if not row.unavailable]
        with sample_channel("--driver", "speech", environment=told) as (run, _):
            for name in able:
                figures[name] = _of_voice(run, name)
            figures["voice_delay_ms"] = run.state()["program"]["voice_delay_ms"]
    return figures


def _of_voice(run: Studio, name: str) -> dict[str, Any]:
    own, heard = [], []
    for trial in range(TRIALS + 1):
        # In turns, so that other work on the machine affects both.
        mine, theirs = asyncio.run(_first_block_ms(name)), _first_sound_ms(run, name)
        if trial:  # left out: the first one imports and connects
            own.append(mine)
            heard.append(theirs)
    added = float(np.median(heard)) - float(np.median(own))
    return {"own_ms": spread(own), "heard_ms": spread(heard), "added_ms": round(added, 1)}


async def _first_block_ms(name: str) -> float:
    voice, begun = open_voice(name), time.monotonic()
    async with aclosing(spoken_sentence(voice, SENTENCE)) as parts:
        async for part in parts:
            if np.abs(part.samples).max(initial=0) > LOUD:
                return 1000 * (time.monotonic() - begun)
    raise AssertionError("the voice is silent")


def _first_sound_ms(run: Studio, name: str) -> float:
    address, head = f"{run.base}/api/v1/channels/main/speech", {"Authorization": f"Bearer {run.token}"}
    reader = run.read("sound")
    # Made and connected before the measurement: to read its certificates, a client takes longer than the studio to
    # answer.
    client = httpx2.Client(headers=head, timeout=10, trust_env=False)
    try:
        client.get(f"{run.base}/api/v1/channels/main").raise_for_status()
        reader.read()
        begun = time.monotonic()
        client.post(address, json={"text": SENTENCE, "voice": name}).raise_for_status()
        while time.monotonic() < begun + LONGEST_S:
            if any(np.abs(message.array).max(initial=0) > LOUD for message in reader.read()):
                return 1000 * (time.monotonic() - begun)
            time.sleep(0.002)
        raise AssertionError("nothing was heard")
    finally:
        client.close()
        reader.close()
        wait_for(lambda: not run.state()["speech"]["queue"], 30, "said to its end")
        time.sleep(0.5)
