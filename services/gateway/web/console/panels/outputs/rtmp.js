// The RTMP push: on or off, its state, and why it is not available.

import { attempt, byId, element, setAttribute, setText } from "../../../lib/elements.js";
import { clockTime } from "../../../lib/units.js";

/** The states of an output as words with a sign. */
export const OUTPUT_WORDS = { off: "○ off", connecting: "◌ connecting…", live: "● live", reconnecting: "▲ reconnecting", failed: "✕ failed" };

/**
 * @param {import("../../../lib/api.js").Api} api @param {() => import("../../../lib/globals.js").State} current
 * @returns {import("../../../lib/globals.js").Panel}
 */
export function rtmp(api, current) {
  const failed = element("p", { class: "bad", role: "alert" });
  const toggle = element("button", { class: "record", id: "rtmp", "aria-pressed": "false" });
  toggle.addEventListener("click", () => attempt(failed, () => api.patch({ rtmp: !current().scene.rtmp })));
  const line = element("p", { class: "detail", role: "status", "aria-label": "RTMP" });
  const note = element("p", { class: "why" });
  byId("outputs").append(element("h3", {}, "RTMP"), toggle, line, note, failed);

  return (state) => {
    const { state: word, note: said, since, figures, address, unavailable } = state.outputs.rtmp;
    const on = state.scene.rtmp && !unavailable;
    setAttribute(toggle, "aria-pressed", String(on));
    toggle.disabled = Boolean(unavailable);
    setText(toggle, on ? "■ Stop streaming" : "▶ Start streaming");
    const kbps = figures.kbps === undefined ? "" : ` · ${figures.kbps} kbit/s`;
    const time = word === "live" ? ` · ${clockTime(Math.max(0, Date.now() / 1000 - since))}` : "";
    setText(line, unavailable ? "✕ unavailable" : `${OUTPUT_WORDS[word]} · ${address}${time}${kbps}`);
    setText(note, unavailable || said);
  };
}
