// Outputs: this preview by mode, and the recording.

import { attempt, byId, element, setAttribute, setText } from "../../../lib/elements.js";
import { bytes, clockTime } from "../../../lib/units.js";
import { downloadRecording } from "./recordings.js";

/** @type {["roi" | "full", string][]} mode of the preview, title */
const MODES = [["roi", "ROI"], ["full", "Full frames"]];

/**
 * @param {import("../../../lib/api.js").Api} api @param {import("../../../preview/preview.js").Preview} preview
 * @param {() => import("../../../lib/globals.js").State} current @returns {import("../../../lib/globals.js").Panel}
 */
export function outputs(api, preview, current) {
  const failed = element("p", { class: "bad", role: "alert" });
  const group = element("div", { class: "button-pair", role: "group", "aria-label": "Preview mode" });
  const modes = MODES.map(([mode, title]) => {
    const figure = element("span", { class: "number" });
    const button = element("button", { "aria-pressed": "false" }, title, figure);
    button.addEventListener("click", () => preview.setMode(mode));
    group.append(button);
    return { mode, button, figure };
  });
  const saving = element("p", { class: "detail" });
  const record = element("button", { class: "record", id: "record", "aria-pressed": "false" });
  record.addEventListener("click", () => attempt(failed, () =>
    api.ask(current().scene.recording && current().outputs.record.state !== "failed" ? "DELETE" : "POST", "./recording")));
  const recorded = element("p", { class: "detail" });
  const fetched = element("button", { class: "quiet" }, "Download");
  fetched.addEventListener("click", () => attempt(failed, () => downloadRecording(api, current().outputs.record.id)));
  const note = element("p", { class: "bad" });
  byId("outputs").append(
    element("h3", {}, "Preview"), group, saving,
    element("h3", {}, "Recording"), record, recorded, fetched, note, failed);

  return (state) => {
    const { bytes_per_second: rates, viewers, dropped } = state.outputs.preview;
    for (const { mode, button, figure } of modes) {
      const rate = rates[mode];
      setAttribute(button, "aria-pressed", String(preview.mode === mode));
      setText(figure, rate === undefined ? "– B/s" : `${bytes(rate)}/s`);
    }
    const share = rates.full && rates.roi !== undefined ? `ROI sends ${((1 - rates.roi / rates.full) * 100).toFixed(0)} % less · ` : "";
    const watching = viewers.full + viewers.roi;
    setText(saving, `${share}${watching} viewer${watching === 1 ? "" : "s"} · ${dropped} dropped`);
    drawRecord(state.outputs.record, record, recorded, fetched, note);
  };
}

/**
 * @param {import("../../../lib/api_types.js").RecordState} state @param {HTMLButtonElement} button @param {HTMLElement} line
 * @param {HTMLElement} fetched the download's button @param {HTMLElement} note
 */
function drawRecord(state, button, line, fetched, note) {
  const on = state.state === "live" || state.state === "connecting";
  setAttribute(button, "aria-pressed", String(on));
  setText(button, on ? "■ Stop recording" : "● Record");
  setText(line, state.name ? `${state.name} · ${clockTime(state.figures.seconds ?? 0)} · ${bytes(state.figures.bytes ?? 0)}` : "Nothing recorded yet.");
  fetched.hidden = on || !state.id || state.state === "failed";
  setText(note, state.note);
}
