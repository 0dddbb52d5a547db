// Engines: those that can go on air are cards, the others are lines with the reason and the command that helps.

import { attempt, byId, element, setAttribute, setText, updateList } from "../../lib/elements.js";

/** @typedef {import("../../lib/api_types.js").EngineRow} EngineRow */

/** @param {import("../../lib/api.js").Api} api @returns {import("../../lib/globals.js").Panel} */
export function engines(api) {
  const box = byId("engines-absent"), summary = byId("engines-absent-title");
  /** @param {EngineRow} row */
  const make = (row) => {
    const title = element("span", { class: "name" }), why = element("span", { class: "why" }), terms = element("span", { class: "detail terms" });
    const choose = element("button", { class: "choice" }, title, why, terms);
    choose.addEventListener("click", () => attempt(byId("engine-error"), () => api.patch({ engine: row.name })));
    return { root: element("li", {}, choose), choose, title, why, terms };
  };
  return (state) => {
    /** @param {EngineRow} row */
    const isChosen = (row) => state.scene.engine === row.name;
    const shown = state.engines.filter((row) => isChosen(row) || !hindrance(row));
    updateList(byId("engines"), shown, (row) => row.name, make, ({ choose, title, why, terms }, row) => {
      setAttribute(choose, "aria-pressed", String(isChosen(row)));
      choose.disabled = Boolean(hindrance(row));
      setText(title, row.title || row.name);
      setText(why, hindrance(row));
      setText(terms, row.terms);
    });
    const absent = state.engines.filter((row) => !shown.includes(row));
    box.hidden = absent.length === 0;
    setText(summary, `Unavailable engines (${absent.length})`);
    updateList(byId("engines-absent-list"), absent, (row) => row.name, makeLine, ({ title, why, terms }, row) => {
      setText(title, row.title || row.name);
      setReason(why, hindrance(row));
      setText(terms, row.terms);
    });
  };
}

/** A line for an engine that cannot be chosen. Its text is selectable, so that the command can be copied. */
function makeLine() {
  const title = element("strong"), why = element("span", { class: "why" }), terms = element("span", { class: "detail" });
  return { root: element("li", {}, title, " ", why, " ", terms), title, why, terms };
}

/** Show a reason, with text between backticks as code. @param {Element} target @param {string} reason */
function setReason(target, reason) {
  const parts = reason.split("`");
  if (target.textContent === parts.join("")) return;
  target.replaceChildren(...parts.map((part, i) => (i % 2 ? element("code", {}, part) : part)));
}

/** Why an engine cannot go on air, "" if it can. @param {EngineRow} row */
function hindrance(row) {
  return row.unavailable || (!row.modes.length || row.modes.includes("live") ? "" : "Renders whole clips only: choose it in a job.");
}
