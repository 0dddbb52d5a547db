// The options of the scene's engine, the quality that it currently runs at, and the engine's note.

import { byId, setText } from "../../lib/elements.js";
import { optionFields, optionsOf } from "../option_fields.js";

/** @typedef {import("../../lib/globals.js").State} State */
/** @typedef {import("../../lib/api_types.js").EngineQuality} EngineQuality */

/** @param {import("../../lib/api.js").Api} api @returns {import("../../lib/globals.js").Panel} */
export function options(api) {
  const box = byId("options-box"), fields = optionFields(byId("options"), "option", (changes) => api.patch({ options: changes }));
  return (state) => {
    const row = wantedEngine(state), at = state.engine.quality;
    fields.draw(row, state.scene.options);
    box.hidden = optionsOf(row).length === 0;
    setText(byId("quality-now"), at ? `Current quality: ${at.title}` : "");
    setText(byId("engine-note"), state.services.generator.note);
  };
}

/** The qualities of the scene's engine, best first. @param {State} state @returns {EngineQuality[]} */
export function qualitiesOf(state) {
  const schema = optionsOf(wantedEngine(state)).find(([name]) => name === "quality")?.[1];
  return (schema?.enum ?? []).map((name) => ({ name, title: schema?.titles?.[name] ?? name }));
}

/** The next quality below the engine's current one, if there is one. @param {State} state @returns {EngineQuality | undefined} */
export function nextLower(state) {
  const rungs = qualitiesOf(state), at = rungs.findIndex((rung) => rung.name === state.engine.quality?.name);
  return at < 0 ? undefined : rungs[at + 1];
}

/** @param {State} state */
const wantedEngine = (state) => state.engines.find((row) => row.name === state.scene.engine);
