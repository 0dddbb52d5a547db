// Engines: those that can run, why the others cannot, and what their weights may be used for.

import { attempt, byId, element, keyed, mark, write } from "../../lib/elements.js";

/** @param {import("../../lib/api.js").Api} api */
export function engines(api) {
  const make = (row) => {
    const choose = element("button", { class: "choice" }, element("span", { class: "name" }), element("span", { class: "why" }),
      element("span", { class: "detail terms" }));
    choose.addEventListener("click", () => attempt(byId("engine-error"), () => api.patch({ engine: row.name })));
    return element("li", {}, choose);
  };
  return (state) => keyed(byId("engines"), state.engines, (row) => row.name, make, (child, row) => {
    const choose = child.firstChild;
    mark(choose, "aria-pressed", String(state.scene.engine === row.name));
    choose.disabled = Boolean(row.unavailable);
    const [name, why, terms] = choose.children;
    write(name, row.title || row.name);
    write(why, row.unavailable);
    write(terms, row.terms);
  });
}
