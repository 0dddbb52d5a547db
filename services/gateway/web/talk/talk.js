// The conversation panel, the same on every page: a button opens it and starts the conversation; it shows the transcript.

import { element, messageOf, setAttribute, setText, updateList } from "../lib/elements.js";
import { drawLevel } from "../lib/level.js";
import { sendOnEnter } from "../lib/text_box.js";
import { timeSpans } from "../lib/units.js";
import { Conversation } from "./conversation.js";

const MOST_CHARACTERS = 2000; // longest question
const STATES = { listening: "Listening", hearing: "Hearing you", thinking: "Thinking", speaking: "Speaking" };
const ROLES = { person: "You", host: "Host" };
/** The parts of a turn's latency, in order. @type {["vad_ms" | "speech_to_text_ms" | "chat_ms" | "voice_ms", string][]} */
const PARTS = [["vad_ms", "end of speech"], ["speech_to_text_ms", "transcription"], ["chat_ms", "chat model"], ["voice_ms", "voice"]];

/**
 * @param {HTMLButtonElement} opener button that shows and hides the panel
 * @param {HTMLElement} panel empty, hidden
 * @param {{ask: () => Promise<import("../lib/api_types.js").Conversation>, connect: () => WebSocket,
 *   sound: import("../preview/sound.js").ProgramSound, listen: (on: boolean) => Promise<unknown>}} page
 *   ask: asks whether a conversation is possible. connect: opens its socket. listen: turns the program's sound on or off.
 */
export function talkPanel(opener, panel, { ask, connect, sound, listen }) {
  const why = element("p", { class: "why", role: "status" });
  const state = element("p", { class: "talk-state", role: "status", "aria-label": "Conversation" });
  const meter = element("div", { class: "level-bar", role: "meter", "aria-label": "Microphone level", "aria-valuemin": "-60", "aria-valuemax": "0" }, element("span"));
  const microphone = element("button", { type: "button" });
  const mute = element("button", { type: "button" }, "Mute microphone");
  const interrupt = element("button", { type: "button" }, "Interrupt host");
  const lines = element("ol", { class: "talk-lines", role: "log", "aria-label": "Transcript", tabindex: "0" });
  const box = element("textarea", { rows: "1", maxlength: String(MOST_CHARACTERS), "aria-label": "Question", placeholder: "Type a question and press Enter", enterkeyhint: "send" });
  const form = element("form", { class: "row" }, box, element("button", {}, "Ask"));
  const failed = element("p", { class: "bad", role: "alert" });
  const note = element("p", { class: "why", role: "status" });
  const latency = element("p", { class: "detail" });
  const body = element("div", { class: "talk-body", hidden: "" },
    element("div", { class: "talk-head" }, state, meter, microphone, mute, interrupt), lines, form, failed, note, latency);
  panel.append(why, body);

  const draw = () => {
    const { listening, muted, open } = conversation;
    setText(state, wordOf(conversation));
    setAttribute(state, "data-state", conversation.state);
    setText(microphone, listening ? "Stop" : "Start microphone");
    setAttribute(microphone, "class", listening ? "" : "primary");
    meter.hidden = !listening;
    mute.hidden = !listening;
    setText(mute, muted ? "Microphone muted" : "Mute microphone");
    setAttribute(mute, "aria-pressed", String(muted));
    interrupt.disabled = !open || !["thinking", "speaking"].includes(conversation.state);
    drawLines(lines, conversation.lines);
    setText(failed, conversation.error);
    setText(note, conversation.note);
    setText(latency, conversation.latency ? latencyLine(conversation.latency) : "");
  };
  const conversation = new Conversation(connect, draw, (level) => drawLevel(meter, level));

  /** @param {boolean} on */
  const show = (on) => {
    panel.hidden = !on;
    setAttribute(opener, "aria-expanded", String(on));
  };
  opener.addEventListener("click", async () => {
    show(panel.hidden === true);
    if (panel.hidden) return conversation.stop();
    const silent = !sound.listening;
    if (silent) listen(true).catch(() => {}); // now, because browsers permit sound only during a click
    const reason = await ask().then(({ available, why }) => (available ? "" : why), messageOf);
    setText(why, reason);
    body.hidden = reason !== "";
    if (reason && silent) await listen(false);
    if (!panel.hidden && !reason) await conversation.start();
  });
  microphone.addEventListener("click", () => (conversation.listening ? conversation.stop() : conversation.start()));
  mute.addEventListener("click", () => conversation.mute(!conversation.muted));
  interrupt.addEventListener("click", () => conversation.interrupt());
  sendOnEnter(form, box, failed, (text) => conversation.ask(text));
  draw();
}

/** The conversation's state in a word or two. @param {Conversation} conversation */
function wordOf({ open, lost, state, asking, listening, muted }) {
  if (!open) return "Stopped";
  if (asking) return "Waiting for the microphone…";
  if (!state) return lost ? "Connection lost, reconnecting…" : "Connecting…";
  if (state !== "listening") return STATES[state];
  return !listening ? "Ready for a question" : muted ? "Muted" : STATES.listening;
}

/** Draw the transcript; if it was scrolled to its end, it stays there.
 * @param {HTMLElement} list @param {import("../lib/api_types.js").ConversationLine[]} lines */
function drawLines(list, lines) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 24;
  updateList(list, lines, ({ id }) => id, ({ role }) => {
    const text = element("span", { dir: "auto" });
    return { root: element("li", { "data-role": role }, element("strong", {}, ROLES[role]), text), text };
  }, ({ root, text }, line) => {
    setAttribute(root, "aria-busy", String(!line.final)); // screen readers announce the line once it is complete
    setText(text, line.text);
  });
  if (atEnd) list.scrollTop = list.scrollHeight;
}

/** @param {import("../lib/api_types.js").TurnLatency} latency @returns {string} */
function latencyLine(latency) {
  const parts = PARTS.filter(([name]) => latency[name] > 0).map(([name, title]) => `${title} ${timeSpans(latency[name])}`);
  return `Response time ${timeSpans(latency.total_ms)}: ${parts.join(", ")}`;
}
