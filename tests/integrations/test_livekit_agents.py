"""Real AgentSession jobs against a real studio.

With the project's plugin, as its example uses it, and with bey's plugin as published.
"""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from harness.sessions.session_studio import SessionStudio
from tests.support.running.bot import INTEGRATIONS, Bot, RoomEars, play, speech_file

BOT = str(Path(__file__).parent / "bots" / "agent_bot.py")
EXAMPLE = str(INTEGRATIONS / "livekit-plugins-personastudio" / "examples" / "speaking_host.py")
SECONDS = 10.0  # length of the speeches that are interrupted or lose the avatar
OURS, BEYS = "personastudio-avatar-agent", "bey-avatar-agent"


def speaks(said: dict[str, Any], finished: dict[str, Any], seconds: float) -> bool:
    return not said["interrupted"] and abs(finished["heard"] - seconds) < 0.1


def is_cut_off(said: dict[str, Any], finished: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Return whether a part of the speech was heard, and no more than there was time for."""
    return bool(said["interrupted"]) and 0.3 < finished["heard"] < min(finished["at"] - asked["at"], SECONDS - 1.0)


def test_the_voice_goes_on_where_the_avatar_dies_and_the_avatar_speaks_when_it_is_back(
    other_python: Path, serving: SessionStudio, small_home: Path
) -> None:
    async def scene(made: Bot, ears: RoomEars) -> None:
        steps: list[dict[str, Any]] = []

        async def step() -> dict[str, Any]:
            await made.until(lambda: len(made.events("said")) > len(steps))
            steps.append(made.events("said")[len(steps)])
            return steps[-1]

        said = await step()
        assert len(made.events("joined")) == 1 and speaks(said, made.events("finished")[0], 1.0)
        await made.until(lambda: ears.heard_seconds(OURS) > 0 and ears.frames.get(OURS, 0) > 10)
        assert list(ears.loud) == [OURS]
        assert serving.http.get("/sessions").json()["sessions"][0]["avatar"] != "sample"  # the portrait's avatar
        assert is_cut_off(await step(), made.events("finished")[1], made.events("asked")[1])

        # The process that joins the rooms is killed, and restarted.
        await made.until(lambda: len(made.events("started")) == 3)
        await asyncio.sleep(1.0)
        os.kill(serving.pids()["sessions"], signal.SIGKILL)
        assert speaks(await step(), made.events("finished")[2], SECONDS)
        assert len(made.events("left")) == 1
        agent = next(identity for identity in ears.loud if identity != OURS)
        assert ears.heard(agent, made.events("left")[0]["at"], steps[-1]["at"])

        await made.until(lambda: len(made.events("joined")) == 2 and len(made.events("started")) == 4)
        before = ears.heard_seconds(OURS)
        await made.until(lambda: ears.heard_seconds(OURS) > before + 0.1)
        made.door.shut()  # the studio is unreachable, while its avatar is still in the room
        said = await step()
        assert speaks(said, made.events("finished")[3], SECONDS) and len(made.events("left")) == 2
        left = made.events("left")[1]["at"]
        assert ears.heard(agent, left, said["at"])
        assert ears.heard_seconds(OURS) - before < SECONDS - 1.5  # the avatar was silenced before its end
        assert speaks(await step(), made.events("finished")[4], 1.0)
        await made.until(lambda: made.events("done"))

    play(other_python, serving, (BOT, "connect", "--room"), scene, PLUGIN="personastudio",
         PORTRAIT=str(small_home / "portrait.png"), STEPS="say interrupt long joined long say")  # fmt: skip


def test_an_agent_without_a_studio_speaks_by_itself(other_python: Path, serving: SessionStudio) -> None:
    async def scene(made: Bot, ears: RoomEars) -> None:
        await made.until(lambda: made.events("done"))
        (trouble,), (said,) = made.events("no face"), made.events("said")
        assert "The studio at http://127.0.0.1:9 cannot be reached" in trouble["why"]
        assert speaks(said, made.events("finished")[0], 1.0) and len(ears.loud) == 1

    play(other_python, serving, (BOT, "connect", "--room"), scene, PLUGIN="personastudio", AVATAR="sample", STEPS="say",
        RETRIES="1",
         PERSONASTUDIO_URL="http://127.0.0.1:9")  # fmt: skip


@pytest.mark.slow  # other tests cover its request, and any agent's session
def test_beys_own_plugin_works_with_the_studio(other_python: Path, serving: SessionStudio) -> None:
    async def scene(made: Bot, ears: RoomEars) -> None:
        await made.until(lambda: made.events("done") and ears.frames.get(BEYS, 0) > 10)
        said, finished = made.events("said"), made.events("finished")
        assert speaks(said[0], finished[0], 1.0) and is_cut_off(said[1], finished[1], made.events("asked")[1])
        assert list(ears.loud) == [BEYS]

    play(other_python, serving, (BOT, "connect", "--room"), scene, PLUGIN="bey", AVATAR="sample", STEPS="say interrupt",
         BEY_API_URL=f"http://127.0.0.1:{serving.http.base_url.port}", BEY_API_KEY=serving.token)  # fmt: skip


@pytest.mark.slow  # the test above covers its plugin with a bot that does more
def test_the_example_speaks_a_file_to_its_end_and_takes_its_avatar_along(
    other_python: Path, serving: SessionStudio, tmp_path: Path
) -> None:
    async def scene(made: Bot, ears: RoomEars) -> None:
        await made.until(lambda: "said: Goodbye. interrupted=False" in made.text)
        assert "watch: https://" in made.text and "And this I shall not finish. interrupted=True" in made.text
        await made.until(lambda: OURS in ears.gone)

    play(other_python, serving, (EXAMPLE, "connect", "--room"), scene, WAV=str(speech_file(tmp_path)))
    assert serving.http.get("/sessions").json()["sessions"][0]["note"] == "It was ended by request."
