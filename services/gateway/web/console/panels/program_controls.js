// The controls below the program: driver, voice level, and the most frequent actions.

import { attempt, byId, setAttribute, setText } from "../../lib/elements.js";
import { QUIETEST_DB, decibels, drawLevel } from "../../lib/level.js";

/** @typedef {import("../../lib/globals.js").State} State */

/**
 * @param {import("../../lib/api.js").Api} api @param {import("../../preview/preview.js").Preview} preview
 * @param {() => State} current @returns {import("../../lib/globals.js").Panel}
 */
export function programControls(api, preview, current) {
  const failed = byId("control-error");
  /** @param {"muted" | "label" | "burn_captions" | "loop"} name */
  const flip = (name) => () => attempt(failed, () => api.patch({ [name]: !current().scene[name] }));
  byId("mute").addEventListener("click", flip("muted"));
  byId("label").addEventListener("click", flip("label"));
  byId("burn-captions").addEventListener("click", flip("burn_captions"));
  byId("loop").addEventListener("click", flip("loop"));
  byId("neutral").addEventListener("click", () => attempt(failed, () => api.ask("POST", "./neutral/retake")));
  byId("listen").addEventListener("click", () => attempt(failed, async () => {
    await preview.listen(!preview.stage.sound.listening);
    draw(current(), preview);
  }));
  return (state) => draw(state, preview);
}

/** @param {State} state @param {import("../../preview/preview.js").Preview} preview */
function draw(state, preview) {
  toggle("mute", state.scene.muted, "Muted", "Mute program");
  toggle("label", state.scene.label, "AI label on", "AI label off");
  toggle("burn-captions", state.scene.burn_captions, "Burnt-in captions on", "Burnt-in captions off");
  toggle("loop", state.scene.loop, "Loop driver on", "Loop driver off");
  toggle("listen", preview.stage.sound.listening, "Preview sound on", "Preview sound off");
  const level = decibels(state.program.level);
  drawLevel(byId("level"), state.program.level);
  setText(byId("level-text"), state.scene.muted ? "muted" : `${level <= QUIETEST_DB ? "−∞" : `−${Math.abs(level).toFixed(0)}`} dB`);
  const unseen = state.program.by_voice ? "voice" : state.program.by_template ? "recorded motion" : "";
  const present = state.program.present;
  setText(byId("driver-note"), unseen ? `driver: ${unseen}` : present === null ? "no driver yet" : present ? "driver: face found" : "driver: no face found");
  // Such a driver has no image. Blank the frame, or the previous driver's image would be mistaken for its own.
  byId("driver-frame").classList.toggle("blank", Boolean(unseen));
  const empty = state.program.width === 0;
  setText(byId("stage-note"), preview.note || (empty ? "Waiting for the first frame…" : ""));
}

/** @param {string} id @param {boolean} on @param {string} yes @param {string} no */
function toggle(id, on, yes, no) {
  setAttribute(byId(id), "aria-pressed", String(on));
  setText(byId(id), on ? yes : no);
}
