// The channel's state word, in the headline and in the tab's title, with a sign in addition to its colour.

import { askOnce, attempt, byId, setAttribute, setText } from "../../lib/elements.js";
import { clockTime } from "../../lib/units.js";

const SIGNS = { "ON AIR": "●", IDLE: "◐", STARTING: "◌", RECOVERING: "↻", OFF: "○", "NO LINK": "✕" };

/** @typedef {import("../../lib/globals.js").State} State */

/**
 * @param {import("../../lib/api.js").Api} api @param {() => State} current
 * @returns {import("../../lib/globals.js").Panel}
 */
export function headline(api, current) {
  const button = byId("on-air", HTMLButtonElement);
  askOnce(button, () => (button.dataset.on === "true" ? "Confirm off air" : ""), () =>
    attempt(byId("control-error"), () => api.patch({ on_air: !current().scene.on_air })));
  return draw;
}

/** @param {State} state @param {boolean} linked */
function draw(state, linked) {
  const word = linked ? state.on_air_state : "NO LINK";
  setText(byId("state-word"), word);
  setText(byId("state-sign"), SIGNS[word]);
  setAttribute(byId("state"), "data-state", word);
  setText(byId("state-time"), linked ? clockTime(Date.now() / 1000 - state.since) : "--:--:--");
  setText(byId("link"), linked ? "" : "Connection lost, reconnecting…");
  document.title = `${SIGNS[word]} ${word} · ${state.channel} · Persona Studio`;
  setText(byId("channel"), state.channel);
  const button = byId("on-air");
  if (!button.dataset.asking) setText(button, state.scene.on_air ? "Go off air" : "Go on air");
  setAttribute(button, "data-on", String(state.scene.on_air));
}
