// Recordings made before: listed when they are asked for, and fetched.

import { attempt, byId, element, keyed, write } from "../../lib/elements.js";
import { bytes } from "../../lib/units.js";

/** @param {import("../../lib/api.js").Api} api */
export function recordings(api) {
  const failed = element("p", { class: "bad", role: "alert" });
  const list = element("ul", { class: "recordings", "aria-label": "Recordings" });
  list.hidden = true;
  const empty = element("p", { class: "detail" });
  const open = element("button", { class: "quiet", id: "recordings", "aria-expanded": "false" }, "All recordings");
  const refresh = () => attempt(failed, async () => {
    const rows = await (await api.ask("GET", "/recordings")).json();
    write(empty, rows.length ? "" : "There is no recording yet.");
    keyed(list, rows, (row) => row.id, (row) => make(api, failed, row), (child, row) => {
      write(child.firstChild, `${new Date(row.modified * 1000).toLocaleString()} · ${bytes(row.bytes)}`);
    });
  });
  open.addEventListener("click", () => {
    list.hidden = !list.hidden;
    open.setAttribute("aria-expanded", String(!list.hidden));
    write(empty, "");
    if (!list.hidden) refresh();
  });
  byId("outputs").append(open, list, empty, failed);

  let shown = "";
  return (state) => {
    const { id, state: word } = state.outputs.record;
    if (!list.hidden && shown !== `${id} ${word}`) refresh();
    shown = `${id} ${word}`;
  };
}

function make(api, failed, row) {
  const fetched = element("button", { "aria-label": `Download recording ${row.id}` }, row.id);
  fetched.addEventListener("click", () => attempt(failed, () => download(api, row.id)));
  return element("li", {}, element("span", { class: "detail" }), fetched);
}

/** A recording may be larger than a page's memory, so the browser fetches it itself, by a ticket good for one download.
 * @param {import("../../lib/api.js").Api} api @param {string} id */
export async function download(api, id) {
  const { ticket } = await (await api.ask("POST", `/recordings/${id}/ticket`)).json();
  element("a", { href: `/api/v1/recordings/${id}/download?ticket=${ticket}`, download: `${id}.mp4` }).click();
}
