"""Talking with the host on both pages: what the panel sends, and how it shows the studio's messages."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support.browser.chromium import needs_chromium, until
from tests.support.browser.contrast import MEASURE
from tests.support.browser.talk_stand_in import TalkStandIn
from tests.support.running.gateway import GatewayStudio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = needs_chromium
BLOCK_BYTES = 2 * 16_000 // 50
DENIED = """(() => { MediaDevices.prototype.getUserMedia = async () => {
    throw new DOMException("denied", window.allowed ? "NotReadableError" : "NotAllowedError"); }; })()"""
KEEPS_STREAM = """(() => { const get = MediaDevices.prototype.getUserMedia;
    MediaDevices.prototype.getUserMedia = async function (wanted) {
        window.devices = await get.call(this, wanted);
        return window.devices;
    };
})()"""
PROMPTS = """(() => { const get = MediaDevices.prototype.getUserMedia;
    window.prompts = [];
    window.streams = [];
    MediaDevices.prototype.getUserMedia = async function (wanted) {
        const stream = await get.call(this, wanted);
        window.streams.push(stream);
        await new Promise((allow) => window.prompts.push(allow));
        return stream;
    };
})()"""
# Blocks that the audio thread makes of a tone at a device's rate: their lengths, and the samples without the ends.
RESAMPLED = """async ([rate, hertz]) => {
    const context = new OfflineAudioContext(1, rate, rate);
    await context.audioWorklet.addModule("/web/lib/microphone-worklet.js");
    const node = new AudioWorkletNode(context, "microphone", {
        numberOfOutputs: 1, channelCount: 1, channelCountMode: "explicit", processorOptions: { rate: 16000 },
    });
    const blocks = [];
    node.port.onmessage = ({ data }) => blocks.push(data);
    const tone = new OscillatorNode(context, { frequency: hertz });
    tone.connect(node).connect(context.destination);
    tone.start();
    await context.startRendering();
    for (let last = -1; last !== blocks.length || last < 48;) {
        last = blocks.length;
        await new Promise((done) => setTimeout(done, 50));
    }
    return [blocks.map((block) => block.length), blocks.slice(2, -2).flatMap((block) => [...block])];
}"""


def opened(browser: "Browser", address: str, script: str = "", **more: Any) -> tuple["Page", TalkStandIn]:
    """Open a page at this address, with a stand-in for the studio's route and socket of the conversation."""
    page = browser.new_context(**more).new_page()
    if script:
        page.add_init_script(script)
    studio = TalkStandIn(page)
    page.goto(address)
    return page, studio


@pytest.fixture
def console(running: GatewayStudio) -> str:
    return f"http://{running.address}/#token={running.token}"


@pytest.fixture
def watching(running: GatewayStudio) -> Iterator[str]:
    row = running.http.post("/channels/main/watch-links", json={"talk": True}).json()
    assert row["talk"]
    yield f"http://{running.address}{row['url']}"
    running.http.delete(f"/channels/main/watch-links/{row['id']}")


def talk(page: "Page") -> None:
    page.get_by_role("button", name="Talk", exact=True).click()


def says(page: "Page", word: str) -> None:
    page.get_by_role("status", name="Conversation").get_by_text(word, exact=True).wait_for()


def loudest(studio: TalkStandIn) -> int:
    return int(np.abs(np.frombuffer(b"".join(studio.sound), np.int16).astype(int)).max())


def shown(page: "Page") -> list[str]:
    return page.get_by_role("log", name="Transcript").get_by_role("listitem").all_inner_texts()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_console_sends_the_microphone_and_shows_the_state_and_the_transcript(
    browser: "Browser", console: str, running: GatewayStudio, scheme: Any
) -> None:
    page, studio = opened(browser, console, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    talk(page)
    says(page, "Listening")
    page.get_by_role("button", name="Preview sound on").wait_for()  # a person who talks hears the answer
    studio.wait(lambda: bool(studio.sound) and loudest(studio) > 1000)  # the simulated device beeps now and then
    assert studio.tokens == [running.token]
    assert {len(block) for block in studio.sound} == {BLOCK_BYTES}
    until(page, "Number(document.querySelector('.talk [role=meter]').getAttribute('aria-valuenow')) > -40")
    for state, word in {"hearing": "Hearing you", "thinking": "Thinking", "speaking": "Speaking"}.items():
        studio.say("state", state=state)
        says(page, word)
    studio.say("line", id="a", role="person", text="Where is", final=False)
    studio.say("line", id="b", role="host", text="<b>By the sea", final=False)
    studio.say("line", id="a", role="person", text="Where is it?", final=True)
    page.get_by_text("Where is it?").wait_for()
    assert shown(page) == ["You\nWhere is it?", "Host\n<b>By the sea"]
    assert page.locator(".talk li[aria-busy=true]").inner_text() == "Host\n<b>By the sea"
    studio.say("latency", vad_ms=600, speech_to_text_ms=200, chat_ms=300, voice_ms=100, total_ms=1200)
    page.get_by_text(
        "Response time 1200 ms: end of speech 600 ms, transcription 200 ms, chat model 300 ms, voice 100 ms"
    ).wait_for()
    assert [row for row in page.evaluate(MEASURE) if row["ratio"] < row["least"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.context.close()


def test_no_more_than_the_last_fifty_lines_are_shown_and_the_newest_is_in_view(
    browser: "Browser", console: str
) -> None:
    page, studio = opened(browser, console)
    talk(page)
    says(page, "Listening")
    for number in range(70):
        studio.say("line", id=str(number), role="host", text=f"Line {number}.", final=True)
    page.get_by_text("Line 69.").wait_for()
    assert shown(page)[0] == "Host\nLine 20." and len(shown(page)) == 50
    until(
        page,
        "((l) => l.scrollHeight - l.scrollTop - l.clientHeight < 2)(document.querySelector('.talk-lines'))",
    )
    page.context.close()


def test_it_is_muted_interrupted_and_stopped(browser: "Browser", console: str) -> None:
    page, studio = opened(browser, console, KEEPS_STREAM)
    talk(page)
    studio.wait(lambda: len(studio.sound) > 2)
    page.get_by_role("button", name="Mute microphone").click()
    says(page, "Muted")
    studio.wait(lambda: studio.words == [{"type": "mute", "muted": True}])
    studio.sound.clear()
    page.wait_for_timeout(200)
    assert studio.sound == []
    page.get_by_role("button", name="Microphone muted").click()
    studio.wait(lambda: studio.words[1:] == [{"type": "mute", "muted": False}] and len(studio.sound) > 2)
    interrupt = page.get_by_role("button", name="Interrupt host")
    assert interrupt.is_disabled()
    studio.say("state", state="speaking")
    interrupt.click()
    studio.wait(lambda: studio.words[2:] == [{"type": "interrupt"}])
    page.get_by_role("button", name="Stop", exact=True).click()
    says(page, "Stopped")
    assert page.evaluate("window.devices.getTracks().every((track) => track.readyState === 'ended')")
    page.get_by_role("button", name="Start microphone").click()
    says(page, "Listening")
    assert len(studio.sockets) == 2
    talk(page)
    page.locator("#talk").wait_for(state="hidden")
    assert page.evaluate("window.devices.getTracks().every((track) => track.readyState === 'ended')")
    page.context.close()


def test_a_denied_microphone_is_explained_and_a_question_is_typed(browser: "Browser", console: str) -> None:
    page, studio = opened(browser, console, DENIED)
    talk(page)
    page.get_by_text("This page has no permission to use the microphone").get_by_text(
        "type your question instead"
    ).wait_for()
    says(page, "Ready for a question")
    box = page.get_by_label("Question", exact=True)
    box.fill("Where is it?")
    box.press("Enter")
    studio.wait(lambda: studio.words == [{"type": "text", "text": "Where is it?"}])
    assert box.input_value() == "" and studio.sound == []
    page.evaluate("window.allowed = true")
    page.get_by_role("button", name="Start microphone").click()
    page.get_by_text("The browser cannot open a microphone (NotReadableError).").wait_for()
    page.context.close()


def test_leave_that_comes_after_stop_opens_no_microphone(browser: "Browser", console: str) -> None:
    page, studio = opened(browser, console, PROMPTS)
    for asked in (1, 2):
        talk(page)
        says(page, "Waiting for the microphone…")
        until(page, f"window.prompts.length === {asked}")
        if asked == 1:
            talk(page)
            page.locator("#talk").wait_for(state="hidden")
    page.evaluate("window.prompts[0]()")
    until(page, "window.streams[0].getTracks()[0].readyState === 'ended'")
    says(page, "Waiting for the microphone…")
    assert studio.sound == []
    page.evaluate("window.prompts[1]()")
    says(page, "Listening")
    studio.wait(lambda: len(studio.sound) > 2)
    page.context.close()


def test_a_microphone_that_is_gone_is_named(browser: "Browser", console: str) -> None:
    page, studio = opened(browser, console, KEEPS_STREAM)
    talk(page)
    studio.wait(lambda: len(studio.sound) > 2)
    page.evaluate(
        "() => { const [track] = window.devices.getTracks(); track.stop(); track.dispatchEvent(new Event('ended')); }"
    )
    page.get_by_text("The microphone was unplugged").wait_for()
    says(page, "Ready for a question")
    page.context.close()


def test_what_is_not_set_up_is_one_sentence(browser: "Browser", console: str) -> None:
    page, studio = opened(browser, console)
    studio.facts = {"available": False, "why": "Set the addresses of three servers.", "viewers_may_talk": False}
    talk(page)
    page.get_by_role("status").get_by_text("Set the addresses of three servers.").wait_for()
    assert page.get_by_label("Question", exact=True).is_hidden() and studio.sockets == []
    page.get_by_role("button", name="Preview sound off").wait_for()
    page.get_by_role("button", name="+ New watch link").click()
    until(page, "document.querySelector('#audience-talk').disabled")
    page.context.close()


def test_a_refusal_is_shown_and_a_lost_connection_comes_back(browser: "Browser", console: str) -> None:
    page, studio = opened(browser, console, DENIED)
    studio.greets = False
    talk(page)
    says(page, "Connecting…")
    box = page.get_by_label("Question", exact=True)
    box.fill("Where is it?")
    box.press("Enter")
    studio.wait(lambda: len(studio.tokens) == 1)
    studio.sockets[-1].close(code=4409, reason="Another person talks with the host now.")
    page.get_by_role("alert").get_by_text("Another person talks with the host now.").wait_for()
    says(page, "Stopped")
    assert box.input_value() == "Where is it?"
    studio.greets = True
    box.press("Enter")
    studio.wait(lambda: studio.words == [{"type": "text", "text": "Where is it?"}])
    studio.say("line", id="a", role="person", text="Where is it?", final=True)
    studio.say("error", detail="The chat server did not answer.")
    page.get_by_role("alert").get_by_text("The chat server did not answer.").wait_for()
    studio.greets = False
    studio.sockets[-1].close(code=1012)
    says(page, "Connection lost, reconnecting…")
    studio.wait(lambda: len(studio.tokens) == 3)
    studio.say("state", state="listening")
    says(page, "Ready for a question")
    assert shown(page) == ["You\nWhere is it?"]
    page.context.close()


def test_viewers_talk_by_a_link_that_lets_them(browser: "Browser", watching: str) -> None:
    page, studio = opened(browser, watching, viewport={"width": 390, "height": 844})
    page.get_by_text("Live", exact=True).wait_for()
    talk(page)
    says(page, "Listening")
    page.get_by_role("button", name="Turn sound off").wait_for()
    studio.wait(lambda: len(studio.sound) > 2)
    assert studio.tokens == [watching.partition("#link=")[2]]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert [row for row in page.evaluate(MEASURE) if row["ratio"] < row["least"]] == []
    page.get_by_label("Question", exact=True).press_sequentially("mmd")  # outside a text field these are shortcuts
    page.get_by_role("button", name="Ask").click()
    studio.wait(lambda: studio.words == [{"type": "text", "text": "mmd"}])
    page.keyboard.press("d")
    page.locator("#talk").wait_for(state="hidden")
    page.context.close()


def test_a_link_without_talk_has_no_button(browser: "Browser", watching: str) -> None:
    page = browser.new_page()
    studio = TalkStandIn(page, {"available": False, "why": "This link is for watching.", "viewers_may_talk": True})
    with page.expect_response("**/watch/conversation"):
        page.goto(watching)
    page.get_by_text("Live", exact=True).wait_for()
    assert page.get_by_role("button", name="Talk").is_hidden() and studio.sockets == []
    page.context.close()


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_the_microphone_is_resampled_without_folding(browser: "Browser", running: GatewayStudio, rate: int) -> None:
    page = browser.new_page()
    page.goto(f"http://{running.address}/")

    def tone(hertz: int) -> tuple[np.ndarray[Any, Any], list[int]]:
        lengths, samples = page.evaluate(RESAMPLED, [rate, hertz])
        return np.array(samples) / 32768, lengths

    heard, lengths = tone(1000)
    assert set(lengths) == {320} and 48 <= len(lengths) <= 50
    share = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) / (len(heard) / 4)
    assert share.argmax() == pytest.approx(1000 * len(heard) / 16_000, abs=1)
    assert share.max() == pytest.approx(1, abs=0.02)
    assert np.sqrt(np.mean(tone(5000)[0] ** 2)) == pytest.approx(np.sqrt(0.5), abs=0.02)
    if rate > 16_000:
        assert np.abs(tone(11_000)[0]).max() < 0.003
    page.context.close()
