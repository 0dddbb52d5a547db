// One job in the list: its state, progress, problems and actions.

import { askOnce, attempt, byId, element, setAttribute, setText } from "../../../lib/elements.js";
import { bytes, timeLeft, timeOfDay } from "../../../lib/units.js";

/** @typedef {import("../../../lib/api.js").Api} Api */
/** @typedef {import("../../../lib/api_types.js").JobRow} JobRow */
/** @typedef {JobRow["state"]} JobState */
/** The preview image of a job. shown, wanted: versions of the shown and of the newest image.
 * @typedef {{api: Api, path: string, image: HTMLImageElement, seen: boolean,
 *   shown: string, wanted: string, at: number, timer: number}} JobPreview */

/** @type {Record<JobState, string>} */
const SIGNS = { queued: "○", rendering: "●", assembling: "◐", done: "✓", paused: "‖", cancelled: "⊘", parked: "✕" };
/** The API's verb, the button's title, the states that allow the action, and the question before it.
 * @type {[string, string, JobState[], string][]} */
const ACTIONS = [
  ["pause", "Pause", ["queued", "rendering", "assembling"], ""],
  ["resume", "Resume", ["paused"], ""],
  ["retry", "Retry", ["parked"], ""],
  ["cancel", "Cancel", ["queued", "rendering", "assembling", "paused", "parked"], "Cancel job?"],
  ["remove", "Remove", ["done", "cancelled"], "Remove job?"],
];
const REFRESH_MS = 2000; // shortest time between two updates of a preview image
/** @type {Record<string, string>} */
const CELLS = { d: "done", r: "rendering", w: "waiting", f: "failing" };

/** Previews by element; only visible ones are fetched. @type {WeakMap<Element, JobPreview>} */
const previews = new WeakMap();
const visible = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const preview = previews.get(target);
    if (!preview) continue;
    preview.seen = isIntersecting;
    refreshPreview(preview);
  }
});

/** Make the list element of a job; returns it with the parts that change. @param {Api} api @param {JobRow} row */
export function makeJob(api, row) {
  const failed = element("p", { class: "bad", role: "alert" });
  const image = element("img", { alt: "", hidden: "" });
  const frame = element("div", { class: "preview" }, image);
  /** @type {JobPreview} */
  const preview = { api, path: `/jobs/${row.id}/preview`, image, seen: false, shown: "", wanted: "", at: -REFRESH_MS, timer: 0 };
  previews.set(frame, preview);
  visible.observe(frame);
  const actions = ACTIONS.map(([verb, title, states, question]) => {
    const button = element("button", { "data-verb": verb }, title);
    askOnce(button, () => question, () => attempt(failed, () => perform(api, row.id, verb)));
    return { button, title, states };
  });
  const fetched = element("button", { class: "download" }, "Download");
  fetched.addEventListener("click", () => attempt(failed, () => api.download(`/jobs/${row.id}`)));
  const captions = element("button", { class: "captions" }, "Captions");
  captions.addEventListener("click", () => attempt(failed, () => api.download(`/jobs/${row.id}/captions`)));
  const name = element("p", { class: "name" }), word = element("span", { class: "state-word" });
  const percent = element("span", { class: "number percent" });
  const speed = element("p", { class: "detail number speed" }), description = element("p", { class: "detail description" });
  const filled = element("span");
  const progress = element("div", { class: "progress", role: "progressbar", "aria-label": "rendered", "aria-valuemin": "0", "aria-valuemax": "100" }, filled);
  const strip = element("div", { class: "strip", role: "img" }), why = element("p", { class: "why" });
  const group = element("div", { class: "job", role: "group" }, frame,
    element("div", { class: "job-details" }, name, element("p", { class: "head" }, word, percent), progress, speed, description),
    strip, why, element("div", { class: "actions" }, fetched, captions, ...actions.map(({ button }) => button)), failed);
  return { root: element("li", {}, group), group, name, word, percent, progress, filled, speed, description, strip, why, actions, fetched, captions, preview };
}

/** @param {ReturnType<typeof makeJob>} parts @param {JobRow} row */
export function updateJob({ group, name, word, percent, progress, filled, speed, description, strip, why, actions, fetched, captions, preview }, row) {
  setAttribute(group, "aria-label", `Job ${row.id}: ${row.driver}, ${row.state}`);
  setAttribute(group, "data-state", row.state);
  setText(name, row.driver);
  setAttribute(name, "title", row.driver);
  setText(word, `${SIGNS[row.state] ?? "·"} ${row.state}`);
  setText(description, [row.avatar, row.engine, row.priority === "normal" ? "" : row.priority, row.created ? when(row.created) : ""].filter(Boolean).join(" · "));
  setAttribute(progress, "aria-valuenow", row.percent.toFixed(0));
  filled.style.width = `${row.percent}%`;
  setText(percent, row.state === "done" ? "" : `${Math.floor(row.percent)} %`);
  setText(speed, speedLine(row));
  setText(why, hindrance(row));
  drawStrip(strip, row.strip, Boolean(row.steps));
  for (const { button, title, states } of actions) {
    button.hidden = !states.includes(row.state);
    if (!button.dataset.asking) setText(button, title);
  }
  fetched.hidden = row.state !== "done";
  captions.hidden = !row.captions;
  preview.wanted = row.preview;
  refreshPreview(preview);
}

/** Speed or unit progress and the remaining time; of a finished job its result. @param {JobRow} row @returns {string} */
function speedLine(row) {
  if (row.state === "done") return [row.result, row.bytes ? bytes(row.bytes) : ""].filter(Boolean).join(" · ");
  if (row.state !== "rendering") return "";
  return [row.fps ? `${row.fps.toFixed(1)} fps` : row.steps, row.eta === null ? "" : `${timeLeft(row.eta)} left`].filter(Boolean).join(" · ");
}

/** The time of day, preceded by the date unless it is today. @param {number} at seconds since 1970 */
function when(at) {
  /** @param {Date} date */
  const day = (date) => date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  const made = day(new Date(at * 1000));
  return made === day(new Date()) ? timeOfDay(at) : `${made} ${timeOfDay(at).slice(0, 5)}`;
}

/** What hinders the job, with the failing segment. @param {JobRow} row @returns {string} */
function hindrance(row) {
  if (!row.failing) return row.reason || row.notes.join(" ");
  const { number, unit, attempts, reason } = row.failing;
  return `${unit ? `unit ${unit}` : `segment ${number}`}, attempt ${attempts}: ${reason || row.reason}`;
}

/** Draw the segments' states, a cell for one or several segments, with counts in words as the strip's label.
 * @param {HTMLElement} strip @param {string} cells one of CELLS a segment @param {boolean} ofUnits of a clip engine */
function drawStrip(strip, cells, ofUnits) {
  strip.hidden = cells.length < 2;
  if (strip.dataset.cells === cells) return;
  strip.dataset.cells = cells;
  strip.replaceChildren(...[...cells].map((cell) => element("span", { "data-cell": CELLS[cell] ?? "waiting" })));
  const counts = Object.entries(CELLS).map(([sign, word]) => [[...cells].filter((cell) => cell === sign).length, word]);
  const label = `${ofUnits ? "units" : "segments"}: ${counts.filter(([count]) => count).map(([count, word]) => `${count} ${word}`).join(", ")}`;
  setAttribute(strip, "aria-label", label);
  setAttribute(strip, "title", label);
}

/** Fetch a preview that has changed, at most every REFRESH_MS. @param {JobPreview} preview */
async function refreshPreview(preview) {
  if (!preview.seen || !preview.wanted || preview.wanted === preview.shown || preview.timer) return;
  const wait = preview.at + REFRESH_MS - performance.now();
  if (wait > 0) {
    preview.timer = setTimeout(() => { preview.timer = 0; refreshPreview(preview); }, wait);
    return;
  }
  preview.at = performance.now();
  const { wanted, image } = preview;
  try {
    const url = await preview.api.imageUrl(preview.path);
    URL.revokeObjectURL(image.src);
    image.src = url;
    image.hidden = false;
    setAttribute(image, "alt", "preview");
    preview.shown = wanted;
  } catch {
    // keep the current image; the next state triggers another attempt
  }
}

/** @param {Api} api @param {string} id @param {string} verb of ACTIONS */
async function perform(api, id, verb) {
  if (verb !== "remove") {
    await api.ask("POST", `/jobs/${id}/${verb}`);
    return;
  }
  await api.ask("DELETE", `/jobs/${id}`);
  byId("jobs").dispatchEvent(new CustomEvent("removed", { detail: id }));
}
