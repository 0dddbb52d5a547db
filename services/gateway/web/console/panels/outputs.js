// Outputs: this preview by mode, and the recording.

import { attempt, byId, element, mark, write } from "../../lib/elements.js";
import { bytes, clockTime } from "../../lib/units.js";
import { download } from "./recordings.js";

/** @param {import("../../lib/api.js").Api} api @param {import("../../preview/preview.js").Preview} preview @param {() => any} current */
export function outputs(api, preview, current) {
  const failed = element("p", { class: "bad", role: "alert" });
  const modes = {};
  const group = element("div", { class: "modes", role: "group", "aria-label": "Preview mode" });
  for (const [mode, title] of [["roi", "ROI"], ["full", "Full frames"]]) {
    const figure = element("span", { class: "number" });
    const button = element("button", { "aria-pressed": "false" }, title, figure);
    button.addEventListener("click", () => preview.setMode(mode));
    modes[mode] = { button, figure };
    group.append(button);
  }
  const saving = element("p", { class: "detail" });
  const record = element("button", { class: "record", id: "record", "aria-pressed": "false" });
  record.addEventListener("click", () => attempt(failed, () =>
    api.ask(current().scene.recording && current().outputs.record.state !== "failed" ? "DELETE" : "POST", "./recording")));
  const recorded = element("p", { class: "detail" });
  const fetched = element("button", { class: "quiet" }, "Download");
  fetched.addEventListener("click", () => attempt(failed, () => download(api, current().outputs.record.id)));
  const note = element("p", { class: "bad" });
  byId("outputs").append(
    element("h3", {}, "Preview"), group, saving,
    element("h3", {}, "Recording"), record, recorded, fetched, note, failed);

  return (state) => {
    const { bytes_per_second: rates, viewers, dropped } = state.outputs.preview;
    for (const [mode, { button, figure }] of Object.entries(modes)) {
      mark(button, "aria-pressed", String(preview.mode === mode));
      write(figure, rates[mode] === undefined ? "– B/s" : `${bytes(rates[mode])}/s`);
    }
    const share = rates.full && rates.roi !== undefined ? `ROI sends ${((1 - rates.roi / rates.full) * 100).toFixed(0)} % less · ` : "";
    const watching = viewers.full + viewers.roi;
    write(saving, `${share}${watching} viewer${watching === 1 ? "" : "s"} · ${dropped} dropped`);
    drawRecord(state.outputs.record, record, recorded, fetched, note);
  };
}

function drawRecord(state, button, line, fetched, note) {
  const on = state.state === "live" || state.state === "connecting";
  mark(button, "aria-pressed", String(on));
  write(button, on ? "■ Stop recording" : "● Record");
  write(line, state.name ? `${state.name} · ${clockTime(state.figures.seconds ?? 0)} · ${bytes(state.figures.bytes ?? 0)}` : "nothing recorded yet");
  fetched.hidden = on || !state.id || state.state === "failed";
  write(note, state.note);
}
