// The quality of an engine with a ladder: which one is wanted, which one it is at, and what it says of itself.

import { attempt, byId, element, setText, updateList } from "../../lib/elements.js";

const SETTLED_MS = 300; // arrow keys pass over choices that are not wanted
const AUTO = ["auto", "as the studio is set"]; // by itself, unless the settings name one

/** @typedef {import("../../lib/globals.js").State} State */
/** @typedef {import("../../lib/api_types.js").EngineQuality} EngineQuality */

/** @param {import("../../lib/api.js").Api} api @returns {import("../../lib/globals.js").Panel} */
export function quality(api) {
  const select = byId("quality", HTMLSelectElement);
  let timer = 0, pending = false;
  select.addEventListener("change", () => {
    clearTimeout(timer);
    pending = true;
    timer = setTimeout(async () => {
      await attempt(byId("engine-error"), () => api.patch({ quality: select.value === AUTO[0] ? "" : select.value }));
      pending = false;
    }, SETTLED_MS);
  });
  return (state) => {
    const rungs = qualitiesOf(state);
    byId("quality-box").hidden = rungs.length === 0;
    /** @type {string[][]} */
    const rows = [AUTO, ...rungs.map((rung) => [rung.name, rung.title])];
    updateList(select, rows, ([name]) => name, ([name]) => ({ root: element("option", { value: name }) }), ({ root }, [, title]) => setText(root, title));
    const wanted = rungs.some((rung) => rung.name === state.scene.quality) ? state.scene.quality : AUTO[0];
    if (!pending && select.value !== wanted) select.value = wanted;
    const at = state.engine.quality;
    setText(byId("quality-now"), at ? `now at ${at.title}` : "");
    setText(byId("quality-note"), at ? state.services.generator.note : "");
  };
}

/** The qualities of the engine that is wanted, best first. @param {State} state @returns {EngineQuality[]} */
export function qualitiesOf(state) {
  return state.engines.find((row) => row.name === state.scene.engine)?.qualities ?? [];
}

/** The next one down from where the engine is, if there is one. @param {State} state @returns {EngineQuality | undefined} */
export function nextLower(state) {
  const rungs = qualitiesOf(state), at = rungs.findIndex((rung) => rung.name === state.engine.quality?.name);
  return at < 0 ? undefined : rungs[at + 1];
}
