// The desk below the picture: driver, voice level, and what is pressed most often.

import { attempt, byId, mark, write } from "../../lib/elements.js";

const QUIETEST = -60;

/** @param {import("../../lib/api.js").Api} api @param {import("../../preview/preview.js").Preview} preview @param {() => any} current */
export function desk(api, preview, current) {
  const failed = byId("control-error");
  const flip = (name) => () => attempt(failed, () => api.patch({ [name]: !current().scene[name] }));
  byId("mute").addEventListener("click", flip("muted"));
  byId("label").addEventListener("click", flip("label"));
  byId("loop").addEventListener("click", flip("loop"));
  byId("neutral").addEventListener("click", () => attempt(failed, () => api.ask("POST", "./neutral/retake")));
  byId("listen").addEventListener("click", () => attempt(failed, async () => {
    await preview.listen(!preview.stage.sound.listening);
    draw(current(), preview);
  }));
  return (state) => draw(state, preview);
}

/** @param {any} state @param {import("../../preview/preview.js").Preview} preview */
function draw(state, preview) {
  toggle("mute", state.scene.muted, "Muted", "Mute program");
  toggle("label", state.scene.label, "AI label on", "AI label off");
  toggle("loop", state.scene.loop, "Loop driver on", "Loop driver off");
  toggle("listen", preview.stage.sound.listening, "Sound here on", "Sound here off");
  const level = state.program.level > 0 ? Math.max(QUIETEST, 20 * Math.log10(state.program.level)) : QUIETEST;
  byId("level-fill").style.width = `${((level - QUIETEST) / -QUIETEST) * 100}%`;
  mark(byId("level"), "aria-valuenow", level.toFixed(0));
  write(byId("level-text"), state.scene.muted ? "muted" : `${level <= QUIETEST ? "−∞" : `−${Math.abs(level).toFixed(0)}`} dB`);
  const unseen = state.program.by_voice ? "voice" : state.program.by_template ? "recorded motion" : "";
  const present = state.program.present;
  write(byId("driver-note"), unseen ? `driver: ${unseen}` : present === null ? "no driver yet" : present ? "driver: face found" : "driver: no face");
  // What is not seen has no picture: that of the driver before it would be taken for its own.
  byId("driver-picture").classList.toggle("unseen", Boolean(unseen));
  const empty = state.program.width === 0;
  write(byId("stage-note"), preview.note || (empty ? "The first picture is on its way." : ""));
}

/** @param {string} id @param {boolean} on @param {string} yes @param {string} no */
function toggle(id, on, yes, no) {
  mark(byId(id), "aria-pressed", String(on));
  write(byId(id), on ? yes : no);
}
