// The one state word: in its place, in the tab's title, with a sign beside its colour.

import { askOnce, attempt, byId, mark, write } from "../../lib/elements.js";
import { clockTime } from "../../lib/units.js";

const SIGNS = { "ON AIR": "●", IDLE: "◐", STARTING: "◌", RECOVERING: "↻", OFF: "○", "NO LINK": "✕" };

/** @param {import("../../lib/api.js").Api} api @param {() => any} current */
export function headline(api, current) {
  const button = byId("on-air");
  askOnce(button, () => (current()?.scene.on_air ? "Sure? Press again" : ""), () =>
    attempt(byId("control-error"), () => api.patch({ on_air: !current().scene.on_air })));
  return draw;
}

/** @param {any} state @param {boolean} linked */
function draw(state, linked) {
  const word = linked ? state.on_air_state : "NO LINK";
  write(byId("state-word"), word);
  write(byId("state-sign"), SIGNS[word]);
  mark(byId("state"), "data-state", word);
  write(byId("state-time"), linked ? clockTime(Date.now() / 1000 - state.since) : "--:--:--");
  write(byId("link"), linked ? "" : "Connection lost, reconnecting…");
  document.title = `${SIGNS[word]} ${word} · ${state.channel} · Persona Studio`;
  write(byId("channel"), state.channel);
  const button = byId("on-air");
  if (!button.dataset.asking) write(button, state.scene.on_air ? "Go off air" : "Go on air");
  mark(button, "data-on", String(state.scene.on_air));
}
