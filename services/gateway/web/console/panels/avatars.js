// Avatars: the chosen one, adding one, deleting one.

import { askOnce, attempt, byId, element, setAttribute, setText, updateList } from "../../lib/elements.js";
import { avatarSearch, isMany } from "./avatar_search.js";
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
    setText(byId("avatar-keep-text"), `Keep the source video with the avatar${size}`);
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
    const choose = element("button", { class: "card" }, image, element("span", { class: "name", title: row.name }, row.name), why);
    choose.addEventListener("click", () => attempt(failed, () => api.patch({ avatar: row.name })));
    const remove = element("button", { class: "remove", "aria-label": `Delete avatar ${row.name}` }, "✕");
    askOnce(remove, () => "Delete?", () => attempt(failed, () => api.ask("DELETE", `/avatars/${row.name}`)));
    const film = element("button", { class: "quiet film", "aria-label": `Source video of ${row.name}` }, "Video");
    film.addEventListener("click", () => attempt(failed, () => showFilm(row.name)));
    film.hidden = row.kind !== "video" || Boolean(row.building);
    if (!row.building) loadThumb(api, image, row.name);
    return { root: element("li", {}, choose, remove, film), choose, why, remove };
  };

  /** @param {AvatarRow} row a finished avatar has a different key than while it was built, so that its thumbnail is loaded */
  const key = (row) => `${row.name}/${Boolean(row.building)}`;

  /** @type {import("../../lib/globals.js").State | null} */
  let newest = null;
  const search = avatarSearch(() => { if (newest) draw(newest); });
  /** @param {import("../../lib/globals.js").State} state */
  const draw = (state) => {
    newest = state;
    updateList(byId("avatars"), state.avatars, key, make, (parts, row) => update(state, parts, row));
    search.draw(state.avatars.map((row) => row.name));
  };
  /** @param {import("../../lib/globals.js").State} state @param {ReturnType<typeof make>} parts @param {AvatarRow} row */
  const update = (state, { root, choose, why, remove }, row) => {
    const on = state.scene.avatar === row.name;
    const found = search.matches(row.name);
    setAttribute(root, "data-found", String(found));
    root.hidden = !on && !found; // a search never hides the chosen avatar
    setAttribute(choose, "aria-pressed", String(on));
    choose.disabled = Boolean(row.building || row.unavailable);
    const progress = row.building ? `Building: ${row.building.stage}, ${Math.round(row.building.done * 100)} %` : "";
    const arriving = on && state.program.avatar && state.program.avatar !== row.name ? "Loading…" : "";
    setText(why, row.unavailable || progress || arriving || (isMany(state.avatars.length) ? "" : row.kind));
    remove.hidden = on || Boolean(row.building);
    if (!remove.dataset.asking) setText(remove, "✕");
  };
  return draw;
}

/** @param {import("../../lib/api.js").Api} api @param {HTMLImageElement} image @param {string} name of the avatar */
async function loadThumb(api, image, name) {
  try {
    image.src = await api.imageUrl(`/avatars/${encodeURIComponent(name)}/thumb`);
  } catch {
    image.alt = "no image";
  }
}
