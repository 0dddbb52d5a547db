// Avatars: which one is on air, adding one, deleting one.

import { askOnce, attempt, byId, element, keyed, mark, write } from "../../lib/elements.js";

/** @param {import("../../lib/api.js").Api} api */
export function avatars(api) {
  const failed = byId("avatar-error");
  const form = byId("avatar-form");
  const add = byId("avatar-add");
  add.addEventListener("click", () => {
    form.hidden = !form.hidden;
    add.setAttribute("aria-expanded", String(!form.hidden));
    if (!form.hidden) form.elements.name.focus();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(failed, async () => {
      await api.ask("POST", "/avatars", new FormData(form));
      form.reset();
    });
    form.hidden = true;
    add.setAttribute("aria-expanded", "false");
  });

  const make = (row) => {
    const picture = element("img", { alt: "" });
    const choose = element("button", { class: "card" }, picture,
      element("span", { class: "name" }, row.name), element("span", { class: "why" }));
    choose.addEventListener("click", () => attempt(failed, () => api.patch({ avatar: row.name })));
    const remove = element("button", { class: "remove", "aria-label": `Delete avatar ${row.name}` }, "✕");
    askOnce(remove, () => "delete?", () => attempt(failed, () => api.ask("DELETE", `/avatars/${row.name}`)));
    if (!row.building) loadThumb(api, picture, row.name);
    return element("li", {}, choose, remove);
  };

  return (state) => keyed(byId("avatars"), state.avatars, (row) => `${row.name}/${Boolean(row.building)}`, make, (child, row) => {
    const [choose, remove] = child.children;
    const on = state.scene.avatar === row.name;
    mark(choose, "aria-pressed", String(on));
    choose.disabled = Boolean(row.building || row.unavailable);
    const progress = row.building ? `building: ${row.building.stage} ${Math.round(row.building.done * 100)} %` : "";
    const arriving = on && state.program.avatar && state.program.avatar !== row.name ? "loading…" : "";
    write(choose.lastChild, row.unavailable || progress || arriving || row.kind);
    remove.hidden = on || Boolean(row.building);
    if (!remove.dataset.asking) write(remove, "✕");
  });
}

async function loadThumb(api, picture, name) {
  try {
    picture.src = await api.picture(`/avatars/${encodeURIComponent(name)}/thumb`);
  } catch {
    picture.alt = "no picture";
  }
}
