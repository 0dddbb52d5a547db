// Avatars: which one is on air, adding one, deleting one.

import { askOnce, attempt, byId, element, setAttribute, setText, updateList } from "../../lib/elements.js";
import { filmDialog } from "./film.js";

/** @typedef {import("../../lib/api_types.js").AvatarRow} AvatarRow */

/** @param {import("../../lib/api.js").Api} api @returns {import("../../lib/globals.js").Panel} */
export function avatars(api) {
  const failed = byId("avatar-error");
  const showFilm = filmDialog(api, failed);
  const form = byId("avatar-form", HTMLFormElement);
  const add = byId("avatar-add");
  add.addEventListener("click", () => {
    form.hidden = !form.hidden;
    add.setAttribute("aria-expanded", String(!form.hidden));
    if (!form.hidden) byId("avatar-name").focus();
  });
  const body = byId("avatar-body", HTMLInputElement);
  const showSize = () => {
    const file = body.files?.[0];
    const size = file ? ` (${(file.size / 1e6).toFixed(1)} MB)` : "";
    setText(byId("avatar-keep-text"), `Keep the source film with the avatar${size}`);
  };
  body.addEventListener("change", showSize);
  form.addEventListener("reset", () => setTimeout(showSize));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(failed, async () => {
      const sent = new FormData(form);
      sent.set("keep_film", String(byId("avatar-keep", HTMLInputElement).checked));
      await api.ask("POST", "/avatars", sent);
      form.reset();
    });
    form.hidden = true;
    add.setAttribute("aria-expanded", "false");
  });

  /** @param {AvatarRow} row */
  const make = (row) => {
    const image = element("img", { alt: "" });
    const why = element("span", { class: "why" });
    const choose = element("button", { class: "card" }, image, element("span", { class: "name" }, row.name), why);
    choose.addEventListener("click", () => attempt(failed, () => api.patch({ avatar: row.name })));
    const remove = element("button", { class: "remove", "aria-label": `Delete avatar ${row.name}` }, "✕");
    askOnce(remove, () => "delete?", () => attempt(failed, () => api.ask("DELETE", `/avatars/${row.name}`)));
    const film = element("button", { class: "quiet", "aria-label": `What the film of ${row.name} shows` }, "film");
    film.addEventListener("click", () => attempt(failed, () => showFilm(row.name)));
    film.hidden = row.kind !== "video" || Boolean(row.building);
    if (!row.building) loadThumb(api, image, row.name);
    return { root: element("li", {}, choose, remove, film), choose, why, remove };
  };

  /** @param {AvatarRow} row once it is finished it is another entry, with its thumbnail */
  const key = (row) => `${row.name}/${Boolean(row.building)}`;

  return (state) => updateList(byId("avatars"), state.avatars, key, make, ({ choose, why, remove }, row) => {
    const on = state.scene.avatar === row.name;
    setAttribute(choose, "aria-pressed", String(on));
    choose.disabled = Boolean(row.building || row.unavailable);
    const progress = row.building ? `building: ${row.building.stage} ${Math.round(row.building.done * 100)} %` : "";
    const arriving = on && state.program.avatar && state.program.avatar !== row.name ? "loading…" : "";
    setText(why, row.unavailable || progress || arriving || row.kind);
    remove.hidden = on || Boolean(row.building);
    if (!remove.dataset.asking) setText(remove, "✕");
  });
}

/** @param {import("../../lib/api.js").Api} api @param {HTMLImageElement} image @param {string} name of the avatar */
async function loadThumb(api, image, name) {
  try {
    image.src = await api.imageUrl(`/avatars/${encodeURIComponent(name)}/thumb`);
  } catch {
    image.alt = "no image";
  }
}
