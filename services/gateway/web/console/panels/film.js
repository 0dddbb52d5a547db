// Dialog for an avatar's film: its contact sheet, and the choice of another still or of parts to exclude.

import { attempt, byId, setText } from "../../lib/elements.js";

/** @typedef {import("../../lib/api_types.js").FilmReport} FilmReport */

/**
 * @param {import("../../lib/api.js").Api} api
 * @param {HTMLElement} failed element that shows an error
 * @returns {(name: string) => Promise<void>} opens the dialog for an avatar
 */
export function filmDialog(api, failed) {
  const dialog = byId("film", HTMLDialogElement);
  const sheet = byId("film-sheet", HTMLImageElement);
  const still = byId("film-still", HTMLInputElement);
  const exclude = byId("film-exclude", HTMLInputElement);
  let shown = "";
  byId("film-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => URL.revokeObjectURL(sheet.src));
  byId("film-form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    dialog.close();
    const parts = exclude.value.split(",").map((part) => part.trim()).filter(Boolean);
    const choice = { still: still.value ? Number(still.value) : null, exclude: parts };
    attempt(failed, () => api.ask("PUT", `/avatars/${encodeURIComponent(shown)}/film`, choice));
  });
  return async (name) => {
    const path = `/avatars/${encodeURIComponent(name)}/film`;
    const [report, url] = await Promise.all([filmReport(api, path), api.imageUrl(`${path}/sheet`)]);
    shown = name;
    setText(byId("film-title"), `Source video of ${name}`);
    setText(byId("film-facts"), factsOf(report));
    sheet.src = url;
    sheet.alt = `Contact sheet of ${name}`;
    still.value = "";
    exclude.value = report.stretches.filter((each) => each.kind === "excluded")
      .map((each) => `${seconds(each.first, report)}-${seconds(each.end, report)}`).join(", ");
    dialog.showModal();
  };
}

/** @param {import("../../lib/api.js").Api} api @param {string} path @returns {Promise<FilmReport>} */
async function filmReport(api, path) {
  return (await api.ask("GET", path)).json();
}

/** @param {FilmReport} report @returns {string} */
function factsOf(report) {
  const kept = report.kept ? `source video kept, ${(report.kept_bytes / 1e6).toFixed(1)} MB` : "source video not kept";
  const loop = report.loop.closing ? "plays as a loop" : "plays forwards, then backwards";
  return `${seconds(report.frames, report)} s, ${report.shots.length} ${report.shots.length === 1 ? "shot" : "shots"}, `
    + `portrait from ${seconds(report.still, report)} s, mouth closed in ${Math.round(report.closed_mouth * 100)} % of the frames, ${loop}, ${kept}`;
}

/** @param {number} frame @param {FilmReport} report @returns {string} */
function seconds(frame, report) {
  return String(Math.round(frame / report.fps * 100) / 100);
}
