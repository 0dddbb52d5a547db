// The script: lines that are spoken one after the other, stored in this browser. Each line is an utterance of the speech queue. The
// line marked as being spoken is the one that the queue reports, not the one that was pressed.

import { attempt, byId, element, setAttribute, setText, updateList } from "../../../lib/elements.js";

const LINES_KEY = "persona-studio-script";
const PLACE_KEY = "persona-studio-script-line";

/** @typedef {{number: number, text: string}} Line */

/**
 * @param {import("../../../lib/api.js").Api} api @param {(text: string) => Promise<string>} send
 * @returns {import("../../../lib/globals.js").Panel}
 */
export function script(api, send) {
  const failed = byId("say-error");
  const box = byId("script-text", HTMLTextAreaElement);
  box.value = localStorage.getItem(LINES_KEY) ?? "";
  let place = Number(localStorage.getItem(PLACE_KEY)) || 0; // index of the line that is spoken now or next
  let playing = false;
  let sending = false;
  let interrupts = 0; // how often Interrupt was pressed
  let said = ""; // id of the utterance of the line at `place`, "" while it is not in the queue
  /** @type {import("../../../lib/globals.js").State | null} */
  let newest = null;

  /** @returns {Line[]} */
  const lines = () => box.value.split("\n").map((text) => text.trim()).filter(Boolean).map((text, number) => ({ number, text }));
  /** @param {number} to */
  const moveTo = (to) => {
    place = Math.max(0, Math.min(to, lines().length));
    localStorage.setItem(PLACE_KEY, String(place));
  };
  const over = () => {
    said = "";
    draw();
  };

  /** Actions run one after the other, so that a line's utterance exists before it can be dropped. */
  let work = Promise.resolve();
  /** @param {(wanted: () => boolean) => Promise<void>} job wanted: whether Interrupt has not been pressed since the action was queued */
  const next = (job) => {
    const before = interrupts;
    return (work = work.then(() => job(() => interrupts === before)));
  };
  /** Speak the line at `place`. @param {() => boolean} wanted */
  const sayLine = async (wanted) => {
    const line = lines()[place];
    if (!line || !wanted()) return;
    sending = true;
    draw();
    await attempt(failed, async () => {
      try {
        said = await send(line.text);
        if (!wanted()) await drop(); // the line was queued after the interrupt
      } catch (error) {
        playing = false;
        throw error;
      }
    });
    sending = false;
    if (playing && !said) next(sayLine); // Play was pressed after an interrupt
    draw();
  };
  /** Drop the utterance of the line at `place`, and no other. */
  const drop = async () => {
    const gone = said;
    said = "";
    if (gone) await api.ask("DELETE", `./speech/${gone}`).catch(() => {}); // the utterance may have just ended
  };
  /** @param {number} to index of the line to speak after the current one was dropped */
  const jump = (to) => next(async (wanted) => {
    await drop();
    moveTo(to);
    if (place < lines().length) await sayLine(wanted);
    else playing = false;
    draw();
  });

  byId("script-open").addEventListener("click", () => {
    byId("script").hidden = !byId("script").hidden;
    if (lines().length === 0) box.hidden = false;
    draw();
  });
  byId("script-play").addEventListener("click", () => {
    playing = !playing;
    if (playing && place >= lines().length) moveTo(0);
    if (playing && !said && !sending) next(sayLine);
    draw();
  });
  byId("interrupt").addEventListener("click", () => { // needed also between two lines, when the queue is empty
    interrupts += 1;
    playing = false;
    draw();
  });
  byId("script-skip").addEventListener("click", () => jump(place + 1));
  byId("script-repeat").addEventListener("click", () => jump(said || sending ? place : place - 1));
  byId("script-edit").addEventListener("click", () => {
    box.hidden = !box.hidden;
    if (!box.hidden) box.focus();
    draw();
  });
  box.addEventListener("input", () => {
    localStorage.setItem(LINES_KEY, box.value);
    draw();
  });

  /** @param {Line} line */
  const make = (line) => {
    const button = element("button", { class: "script-line" }, element("span", { class: "sign", "aria-hidden": "true" }), element("span", { dir: "auto" }, line.text));
    button.addEventListener("click", () => jump(line.number));
    return { root: element("li", {}, button), button, sign: button.children[0] };
  };
  const draw = () => {
    const all = lines();
    const heard = newest?.speech.queue.find((row) => row.id === said);
    updateList(byId("script-lines"), all, (line) => `${line.number}/${line.text}`, make, ({ button, sign }, line) => {
      const here = line.number === place;
      const state = here && heard?.state === "started" ? "said" : here && (said || sending) ? "soon" : here ? "next" : line.number < place ? "over" : "";
      if (button.dataset.state !== state && state === "said") button.scrollIntoView({ block: "nearest" });
      setAttribute(button, "data-state", state);
      setAttribute(button, "aria-current", String(state === "said"));
      setText(sign, state === "said" ? "●" : state === "soon" ? "…" : state === "next" ? "▸" : state === "over" ? "✓" : "");
    });
    setAttribute(byId("script-open"), "aria-expanded", String(!byId("script").hidden));
    setAttribute(byId("script-edit"), "aria-pressed", String(!box.hidden));
    setText(byId("script-edit"), box.hidden ? "Edit" : "Done");
    byId("script-lines").hidden = !box.hidden;
    byId("script-empty").hidden = all.length > 0 || !box.hidden;
    setAttribute(byId("script-play"), "aria-pressed", String(playing));
    setText(byId("script-play"), playing ? "Stop after this line" : "Play");
    byId("interrupt", HTMLButtonElement).disabled = !playing && !sending && !newest?.speech.queue.length;
    byId("script-play", HTMLButtonElement).disabled = all.length === 0;
    byId("script-skip", HTMLButtonElement).disabled = place >= all.length;
    byId("script-repeat", HTMLButtonElement).disabled = all.length === 0 || (place === 0 && !said);
  };
  /** Go on to the next line when the current one has ended. @param {import("../../../lib/globals.js").State} state */
  const follow = (state) => {
    if (!said || sending) return;
    const ended = state.speech.recent.find((row) => row.id === said);
    if (!ended) return;
    if (ended.note) setText(failed, ended.note);
    if (ended.state === "interrupted" || ended.note) playing = false; // the same line is spoken next
    else moveTo(place + 1);
    over();
    if (playing && place < lines().length) next(sayLine);
    else playing = false;
  };
  draw();
  return (state) => {
    newest = state;
    follow(state);
    draw();
  };
}
