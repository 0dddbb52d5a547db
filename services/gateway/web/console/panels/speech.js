// Speech: files that are dropped on the page or chosen are spoken; the queue; interrupt and clear.

import { attempt, byId, element, setAttribute, setText } from "../../lib/elements.js";

/** @param {import("../../lib/api.js").Api} api @returns {import("../../lib/globals.js").Panel} */
export function speech(api) {
  const failed = byId("control-error");
  const chooser = byId("speak-file", HTMLInputElement);
  let sent = Promise.resolve();
  /** Send files one after the other, in the given order. @param {File[]} files */
  const speak = (files) => (sent = sent.then(() => attempt(failed, async () => {
    for (const file of files) {
      const form = new FormData();
      form.append("audio", file);
      await api.ask("POST", "./speech", form);
    }
  })));
  byId("speak").addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", async () => {
    await speak([...(chooser.files ?? [])]);
    chooser.value = "";
  });
  byId("interrupt").addEventListener("click", () => attempt(failed, () => api.ask("POST", "./speech/interrupt")));
  byId("speech-clear").addEventListener("click", () => attempt(failed, () => api.ask("POST", "./speech/clear")));
  acceptDrops(speak);

  return (state) => {
    const [first, ...rest] = state.speech.queue;
    const saying = first?.state === "started" ? first : null;
    const waiting = saying ? rest.length : state.speech.queue.length;
    const [what, text, queue] = byId("speech-line").children;
    setText(what, saying ? "Saying " : state.scene.driver === "speech" ? "Waiting for speech" : "");
    setText(text, saying ? state.speech.saying || saying.title : "");
    setText(queue, waiting ? `${what.textContent ? " · " : ""}queue: ${waiting}` : "");
    byId("speech-clear").hidden = waiting === 0;
    setAttribute(byId("interrupt"), "data-live", String(Boolean(saying)));
  };
}

/** Show a hint while files are dragged over the page, and speak them when they are dropped. @param {(files: File[]) => void} speak */
function acceptDrops(speak) {
  const note = element("div", { class: "drop-notice", role: "status", hidden: "" }, "Drop speech files to play them");
  document.body.append(note);
  let inside = 0;
  /** @param {number} change in the number of elements that the file is over */
  const show = (change) => {
    inside = Math.max(0, inside + change);
    note.hidden = inside === 0;
  };
  /** @param {DragEvent} event */
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => { if (carriesFiles(event)) show(1); });
  document.addEventListener("dragleave", (event) => { if (carriesFiles(event)) show(-1); });
  document.addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    show(-inside);
    speak([...(event.dataTransfer?.files ?? [])]);
  });
}
