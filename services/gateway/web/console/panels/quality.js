// The quality of an engine with a ladder: which one is wanted, which one it is at, and what it says of itself.

import { attempt, byId, element, keyed, write } from "../../lib/elements.js";

const SETTLED = 300; // milliseconds: arrow keys pass over choices that nobody wants
const AUTO = ["auto", "as the studio is set"]; // by itself, unless the settings name one

/** @param {import("../../lib/api.js").Api} api */
export function quality(api) {
  const select = byId("quality");
  let timer = 0, pending = false;
  select.addEventListener("change", () => {
    clearTimeout(timer);
    pending = true;
    timer = setTimeout(async () => {
      await attempt(byId("engine-error"), () => api.patch({ quality: select.value === AUTO[0] ? "" : select.value }));
      pending = false;
    }, SETTLED);
  });
  return (state) => {
    const rungs = ladder(state);
    byId("quality-box").hidden = rungs.length === 0;
    const rows = [AUTO, ...rungs.map((rung) => [rung.name, rung.title])];
    keyed(select, rows, ([name]) => name, ([name]) => element("option", { value: name }), (option, [, title]) => write(option, title));
    const wanted = rungs.some((rung) => rung.name === state.scene.quality) ? state.scene.quality : AUTO[0];
    if (!pending && select.value !== wanted) select.value = wanted;
    const at = state.engine.quality;
    write(byId("quality-now"), at ? `now at ${at.title}` : "");
    write(byId("quality-note"), at ? state.services.generator.note : "");
  };
}

/** The qualities of the engine that is wanted, best first. @param {any} state @returns {{name: string, title: string}[]} */
export function ladder(state) {
  return state.engines.find((row) => row.name === state.scene.engine)?.qualities ?? [];
}

/** The next one down from where the engine is, if there is one. @param {any} state @returns {{name: string, title: string} | undefined} */
export function lower(state) {
  const rungs = ladder(state), at = rungs.findIndex((rung) => rung.name === state.engine.quality?.name);
  return at < 0 ? undefined : rungs[at + 1];
}
