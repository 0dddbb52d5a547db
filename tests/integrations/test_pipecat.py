"""Real Pipecat pipelines with our video service against a real studio, and the example."""

import os
import signal
from pathlib import Path

import pytest

from harness.sessions.session_studio import SessionStudio
from tests.support.running.bot import INTEGRATIONS, Bot, RoomEars, play, speech_file

BOT = str(Path(__file__).parent / "bots" / "pipecat_bot.py")
BLOCK_S = 0.01  # of the sound as the room's SDK gives it
FRAME_S = 0.02  # and as the bot does
EXAMPLE = str(INTEGRATIONS / "pipecat-personastudio" / "examples" / "speaking_host.py")


def heard_seconds(ears: RoomEars, since: float, until: float) -> float:
    """How much loud sound came from the bot."""
    return sum(since <= at < until for at in ears.loud["bot"]) * BLOCK_S


def test_the_avatar_speaks_and_is_interrupted_and_the_bot_goes_on_while_it_is_away(
    other_python: Path, serving: SessionStudio
) -> None:
    async def scene(made: Bot, ears: RoomEars) -> None:
        await made.until(lambda: len(made.events("asked")) == 3)
        said, asked = made.events("said"), made.events("asked")
        assert 0.5 < heard_seconds(ears, asked[0]["at"], asked[1]["at"]) < 1.9  # once; a busy machine stretches it
        assert 0.5 < heard_seconds(ears, asked[1]["at"], asked[2]["at"]) < 8.0
        assert heard_seconds(ears, said[1]["at"] + 1.0, asked[2]["at"]) < 0.2  # nothing of what was cut off
        assert ears.frames["bot"] > 10 and not made.events("error")
        session = serving.http.get("/sessions").json()["sessions"][0]
        assert session["width"] == 256 and session["figures"]["viewers"] == 1
        await made.until(lambda: heard_seconds(ears, asked[2]["at"], float("inf")) > 1.0)
        os.kill(serving.pids()["sessions"], signal.SIGKILL)  # and it comes back
        await made.until(lambda: made.events("done"))
        (error,), asked = made.events("error"), made.events("asked")
        assert "The avatar has left" in error["why"]
        # By itself it speaks what the avatar had no time for, and at most the whole again.
        said = made.events("said")
        assert 6.0 - (error["at"] - asked[2]["at"]) < said[2]["through"] * FRAME_S <= 6.0
        assert heard_seconds(ears, error["at"], float("inf")) > 3.0  # the last, which is the avatar's, has one
        assert [each["through"] > 0 for each in said] == [False, False, True, False]  # the last is the avatar's again

    play(other_python, serving, (BOT,), scene, STEPS="say pause interrupt pause long wait say")


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
        await made.process.wait()
        assert [line for line in made.text.splitlines() if line.startswith("said: ")] == [
            "said: greeting", "said: interruption", "said: goodbye",
        ]  # fmt: skip
        assert ears.frames["bot"] > 10 and made.process.returncode == 0

    play(other_python, serving, (EXAMPLE,), scene, WAV=str(speech_file(tmp_path)))
    assert serving.http.get("/sessions").json()["sessions"][0]["note"] == "It was ended by request."
