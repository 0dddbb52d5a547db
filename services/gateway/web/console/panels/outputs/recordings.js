// Earlier recordings: listed on request, with downloads.

import { attempt, byId, element, setText, updateList } from "../../../lib/elements.js";
import { bytes } from "../../../lib/units.js";

/** @param {import("../../../lib/api.js").Api} api @returns {import("../../../lib/globals.js").Panel} */
export function recordings(api) {
  const failed = element("p", { class: "bad", role: "alert" });
  const list = element("ul", { class: "recordings", "aria-label": "Recordings" });
  list.hidden = true;
  const empty = element("p", { class: "detail" });
  const opener = element("button", { class: "quiet", id: "recordings", "aria-expanded": "false" }, "All recordings");
  /** @param {import("../../../lib/api_types.js").RecordingRow} row */
  const make = (row) => {
    const detail = element("span", { class: "detail" });
    const fetched = element("button", { "aria-label": `Download recording ${row.id}` }, row.id);
    fetched.addEventListener("click", () => attempt(failed, () => downloadRecording(api, row.id)));
    const captions = element("button", { "aria-label": `Download captions of ${row.id}` }, "Captions");
    captions.addEventListener("click", () => attempt(failed, () => api.download(`/recordings/${row.id}/captions`, `${row.id}.vtt`)));
    return { root: element("li", {}, detail, fetched, captions), detail, captions };
  };
  const refresh = () => attempt(failed, async () => {
    /** @type {import("../../../lib/api_types.js").RecordingRow[]} */
    const rows = await (await api.ask("GET", "/recordings")).json();
    setText(empty, rows.length ? "" : "No recordings yet.");
    updateList(list, rows, (row) => row.id, make, ({ detail, captions }, row) => {
      captions.hidden = !row.captions;
      setText(detail, `${new Date(row.modified * 1000).toLocaleString()} · ${bytes(row.bytes)}`);
    });
  });
  opener.addEventListener("click", () => {
    list.hidden = !list.hidden;
    opener.setAttribute("aria-expanded", String(!list.hidden));
    setText(empty, "");
    if (!list.hidden) refresh();
  });
  byId("outputs").append(opener, list, empty, failed);

  let shown = "";
  return (state) => {
    const { id, state: word } = state.outputs.record;
    if (!list.hidden && shown !== `${id} ${word}`) refresh();
    shown = `${id} ${word}`;
  };
}

/** @param {import("../../../lib/api.js").Api} api @param {string} id */
export async function downloadRecording(api, id) {
  await api.download(`/recordings/${id}`, `${id}.mp4`);
}
