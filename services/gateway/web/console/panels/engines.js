// Engines: those that can run, why the others cannot, and what their weights may be used for.

import { attempt, byId, element, setAttribute, setText, updateList } from "../../lib/elements.js";

/** @param {import("../../lib/api.js").Api} api @returns {import("../../lib/globals.js").Panel} */
export function engines(api) {
  /** @param {import("../../lib/api_types.js").EngineRow} row */
  const make = (row) => {
    const title = element("span", { class: "name" }), why = element("span", { class: "why" }), terms = element("span", { class: "detail terms" });
    const choose = element("button", { class: "choice" }, title, why, terms);
    choose.addEventListener("click", () => attempt(byId("engine-error"), () => api.patch({ engine: row.name })));
    return { root: element("li", {}, choose), choose, title, why, terms };
  };
  return (state) => updateList(byId("engines"), state.engines, (row) => row.name, make, ({ choose, title, why, terms }, row) => {
    setAttribute(choose, "aria-pressed", String(state.scene.engine === row.name));
    const reason = row.unavailable || (!row.modes.length || row.modes.includes("live") ? "" : "Makes whole clips: choose it for a job.");
    choose.disabled = Boolean(reason);
    setText(title, row.title || row.name);
    setText(why, reason);
    setText(terms, row.terms);
  });
}
