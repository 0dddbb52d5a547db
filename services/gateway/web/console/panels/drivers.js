// Drivers: sample, cameras, this browser, uploaded videos and recorded motions, addresses.

import { askOnce, attempt, byId, element, keyed, mark, write } from "../../lib/elements.js";

/** @param {import("../../lib/api.js").Api} api @param {import("../../driver/camera.js").BrowserCamera} camera */
export function drivers(api, camera) {
  const failed = byId("driver-error");
  const use = (word) => attempt(failed, async () => {
    if (word !== "browser" && word !== "microphone") {
      camera.stop();
      await api.patch({ driver: word });
      return;
    }
    await camera.open(word);
    await api.patch({ driver: word });
    camera.start();
  });
  const make = (row) => {
    const choose = element("button", { class: "choice" }, element("span", { class: "name" }),
      element("span", { class: "detail" }), element("span", { class: "why" }));
    choose.addEventListener("click", () => use(row.word));
    if (!row.word.startsWith("upload:")) return element("li", {}, choose);
    const remove = element("button", { class: "remove", "aria-label": `Delete driver ${row.title}` }, "✕");
    askOnce(remove, () => "delete?", () => attempt(failed, () => api.ask("DELETE", `/drivers/${row.word.slice(7)}`)));
    return element("li", {}, choose, remove);
  };
  byId("driver-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = byId("driver-address");
    if (field.value.trim()) use(field.value.trim());
  });
  byId("driver-upload").addEventListener("change", (event) => attempt(failed, async () => {
    const [file] = event.target.files;
    if (!file) return;
    const form = new FormData();
    form.append("video", file);
    write(failed, `Uploading ${file.name}…`);
    const made = await (await api.ask("POST", "/drivers", form)).json();
    event.target.value = "";
    write(failed, "");
    await api.patch({ driver: made.driver });
  }));

  return (state) => {
    camera.follow(state.scene.driver);
    keyed(byId("drivers"), state.drivers, (row) => row.word, make, (child, row) => {
      const [choose, remove] = child.children;
      if (remove) {
        remove.hidden = state.scene.driver === row.word;
        if (!remove.dataset.asking) write(remove, "✕");
      }
      mark(choose, "aria-pressed", String(state.scene.driver === row.word));
      choose.disabled = Boolean(row.unavailable);
      const [name, detail, why] = choose.children;
      write(name, row.title);
      write(detail, row.detail);
      write(why, row.unavailable || (row.word === camera.word ? camera.note : ""));
    });
  };
}
