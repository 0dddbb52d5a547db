"""Real Pipecat pipelines with our video service against a real studio, and the example."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from harness.sessions.session_studio import SessionStudio
from tests.support.running.bot import INTEGRATIONS, Bot, RoomEars, play, speech_file

BOT = str(Path(__file__).parent / "bots" / "pipecat_bot.py")
EXAMPLE = str(INTEGRATIONS / "pipecat-personastudio" / "examples" / "speaking_host.py")


def heard_seconds(ears: RoomEars, since: float, until: float) -> float:
    """How long the bot was loud, to about a tenth of a second."""
    return len({int(at * 10) for at in ears.loud["bot"] if since <= at < until}) / 10


def test_the_avatar_speaks_and_is_interrupted_and_the_bot_goes_on_while_it_is_away(
    other_python: Path, serving: SessionStudio
) -> None:
    async def scene(made: Bot, ears: RoomEars) -> None:
        await made.until(lambda: len(made.events("said")) == 2)
        said, asked = made.events("said"), made.events("asked")
        assert 0.8 < heard_seconds(ears, asked[0]["at"], said[0]["at"] + 0.2) < 1.4
        assert heard_seconds(ears, asked[1]["at"], asked[1]["at"] + 1.5) > 0.5
        assert ears.frames["bot"] > 10 and not made.events("error")
        session = serving.http.get("/sessions").json()["sessions"][0]
        assert session["width"] == 256 and session["figures"]["viewers"] == 1
        await made.until(lambda: len(made.events("asked")) == 3)
        await asyncio.sleep(1.5)
        asked = made.events("asked")
        assert heard_seconds(ears, said[1]["at"], asked[2]["at"]) < 0.2  # nothing of what was cut off
        spoken = time.monotonic() - asked[2]["at"]
        os.kill(serving.pids()["sessions"], signal.SIGKILL)  # and it comes back
        await made.until(lambda: made.events("done"))
        (error,), end = made.events("error"), made.events("done")[0]["at"] + 1
        assert "The avatar has left" in error["why"]
        # The six seconds, what the avatar had spoken of them, and one more.
        assert 6.0 < heard_seconds(ears, asked[2]["at"], end) < 7.5 + spoken
        said = made.events("said")
        assert heard_seconds(ears, error["at"], made.events("asked")[3]["at"]) > 3
        assert [each["through"] > 0 for each in said] == [False, False, True, False]  # the last is the avatar's again

    play(other_python, serving, (BOT,), scene, STEPS="say interrupt long wait say")


@pytest.mark.slow  # what it does then is tested where the avatar has left
def test_without_a_studio_the_speech_goes_through(other_python: Path, serving: SessionStudio) -> None:
    async def scene(made: Bot, ears: RoomEars) -> None:
        await made.until(lambda: made.events("done"))
        (error,), (asked,), (said,) = made.events("error"), made.events("asked"), made.events("said")
        assert "The studio at http://127.0.0.1:9 cannot be reached" in error["why"]
        assert 0.8 < heard_seconds(ears, asked["at"], said["at"] + 2) < 1.4

    play(other_python, serving, (BOT,), scene, STEPS="say", PERSONASTUDIO_URL="http://127.0.0.1:9")


@pytest.mark.slow  # its plugin is tested above, in a bot that does more
def test_the_example_speaks_and_ends(other_python: Path, serving: SessionStudio, tmp_path: Path) -> None:
    async def scene(made: Bot, ears: RoomEars) -> None:
        await asyncio.wait_for(made.process.wait(), 90)
        assert [line for line in made.text.splitlines() if line.startswith("said: ")] == [
            "said: greeting", "said: interruption", "said: goodbye",
        ]  # fmt: skip
        assert ears.frames["bot"] > 10 and made.process.returncode == 0

    play(other_python, serving, (EXAMPLE,), scene, WAV=str(speech_file(tmp_path)))
    assert serving.http.get("/sessions").json()["sessions"][0]["note"] == "It was ended by request."
