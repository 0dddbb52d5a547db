// Drivers: sample, cameras, this browser, uploaded videos and recorded motions, addresses.

import { askOnce, attempt, byId, element, setAttribute, setText, updateList } from "../../lib/elements.js";

/**
 * @param {import("../../lib/api.js").Api} api @param {import("../../driver/camera.js").BrowserCamera} camera
 * @returns {import("../../lib/globals.js").Panel}
 */
export function drivers(api, camera) {
  const failed = byId("driver-error");
  /** @param {string} word */
  const use = (word) => attempt(failed, async () => {
    if (word !== "browser" && word !== "microphone") {
      camera.stop();
      await api.patch({ driver: word });
      return;
    }
    await camera.openDevices(word);
    /** @type {import("../../lib/api_types.js").Scene} */
    const scene = await (await api.patch({ driver: word })).json();
    camera.start(scene.revision);
  });
  /** @param {import("../../lib/api_types.js").DriverRow} row */
  const make = (row) => {
    const name = element("span", { class: "name" }), detail = element("span", { class: "detail" }), why = element("span", { class: "why" });
    const choose = element("button", { class: "choice" }, name, detail, why);
    choose.addEventListener("click", () => use(row.word));
    const parts = { root: element("li", {}, choose), choose, name, detail, why };
    if (!row.word.startsWith("upload:")) return { ...parts, remove: null };
    const remove = element("button", { class: "remove", "aria-label": `Delete driver ${row.title}` }, "✕");
    askOnce(remove, () => "Delete?", () => attempt(failed, () => api.ask("DELETE", `/drivers/${row.word.slice(7)}`)));
    parts.root.append(remove);
    return { ...parts, remove };
  };
  byId("driver-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const address = byId("driver-address", HTMLInputElement).value.trim();
    if (address) use(address);
  });
  const upload = byId("driver-upload", HTMLInputElement);
  upload.addEventListener("change", () => attempt(failed, async () => {
    const file = upload.files?.[0];
    if (!file) return;
    const form = new FormData();
    form.append("video", file);
    setText(failed, `Uploading ${file.name}…`);
    /** @type {import("../../lib/api_types.js").UploadedDriver} */
    const made = await (await api.ask("POST", "/drivers", form)).json();
    upload.value = "";
    setText(failed, "");
    await api.patch({ driver: made.driver });
  }));

  return (state) => {
    camera.follow(state.scene);
    updateList(byId("drivers"), state.drivers, (row) => row.word, make, ({ choose, name, detail, why, remove }, row) => {
      if (remove) {
        remove.hidden = state.scene.driver === row.word;
        if (!remove.dataset.asking) setText(remove, "✕");
      }
      setAttribute(choose, "aria-pressed", String(state.scene.driver === row.word));
      choose.disabled = Boolean(row.unavailable);
      setText(name, row.title);
      setText(detail, row.detail);
      setText(why, row.unavailable || (row.word === camera.word ? camera.note : ""));
    });
  };
}
