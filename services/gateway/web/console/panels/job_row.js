// One job in the list: how it is, how far, what hinders it, and what can be done with it.

import { askOnce, attempt, byId, element, mark, write } from "../../lib/elements.js";
import { bytes, timeLeft, timeOfDay } from "../../lib/units.js";

const SIGNS = { queued: "○", rendering: "●", assembling: "◐", done: "✓", paused: "‖", cancelled: "⊘", parked: "✕" };
/** Verb of the API, its button, the states in which it can be had, and what is asked before it is done. */
const ACTIONS = [
  ["pause", "Pause", ["queued", "rendering", "assembling"], ""],
  ["resume", "Resume", ["paused"], ""],
  ["retry", "Retry", ["parked"], ""],
  ["cancel", "Cancel", ["queued", "rendering", "assembling", "paused", "parked"], "Cancel it?"],
  ["remove", "Remove", ["done", "cancelled"], "Remove it?"],
];
const REFRESH = 2000; // milliseconds a preview picture stands at least
const CELLS = { d: "done", r: "rendering", w: "waiting", f: "failing" };

/** What each preview shows, and is to show: only those that can be seen are fetched. */
const previews = new WeakMap();
const visible = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const preview = previews.get(target);
    preview.seen = isIntersecting;
    refresh(preview);
  }
});

/** @param {import("../../lib/api.js").Api} api @param {any} row */
export function makeJob(api, row) {
  const failed = element("p", { class: "bad", role: "alert" });
  const image = element("img", { alt: "", hidden: "" });
  const picture = element("div", { class: "picture" }, image);
  previews.set(picture, { api, path: `/jobs/${row.id}/preview`, image, seen: false, shown: "", wanted: "", at: -REFRESH, timer: 0 });
  visible.observe(picture);
  const actions = element("div", { class: "actions" }, ...ACTIONS.map(([verb, title, , question]) => {
    const button = element("button", { "data-verb": verb }, title);
    askOnce(button, () => question, () => attempt(failed, () => perform(api, row.id, verb)));
    return button;
  }));
  const fetched = element("button", { class: "fetch" }, "Download");
  fetched.addEventListener("click", () => attempt(failed, () => download(api, row.id)));
  actions.prepend(fetched);
  const group = element("div", { class: "job", role: "group" },
    picture,
    element("div", { class: "facts" },
      element("p", { class: "name" }),
      element("p", { class: "head" }, element("span", { class: "word" }), element("span", { class: "number percent" })),
      element("div", { class: "share", role: "progressbar", "aria-label": "rendered", "aria-valuemin": "0", "aria-valuemax": "100" }, element("span")),
      element("p", { class: "detail number pace" }),
      element("p", { class: "detail what" })),
    element("div", { class: "strip", role: "img" }),
    element("p", { class: "why" }), actions, failed);
  return element("li", {}, group);
}

/** @param {import("../../lib/api.js").Api} api @param {Element} child @param {any} row */
export function updateJob(api, child, row) {
  const part = (name) => child.querySelector(`.${name}`);
  const group = child.firstChild;
  mark(group, "aria-label", `Job ${row.id}: ${row.driver}, ${row.state}`);
  mark(group, "data-state", row.state);
  write(part("name"), row.driver);
  mark(part("name"), "title", row.driver);
  write(part("word"), `${SIGNS[row.state] ?? "·"} ${row.state}`);
  write(part("what"), [row.avatar, row.engine, row.priority === "normal" ? "" : row.priority, when(row.created)].filter(Boolean).join(" · "));
  const share = row.total ? Math.min(1, row.done / row.total) : 0;
  mark(part("share"), "aria-valuenow", (share * 100).toFixed(0));
  part("share").firstChild.style.width = `${share * 100}%`;
  write(part("percent"), row.state === "done" ? "" : `${Math.floor(share * 100)} %`);
  write(part("pace"), pace(row));
  write(part("why"), why(row));
  drawStrip(part("strip"), row.strip);
  for (const button of child.querySelectorAll("[data-verb]")) {
    const [, title, states] = ACTIONS.find(([verb]) => verb === button.dataset.verb);
    button.hidden = !states.includes(row.state);
    if (!button.dataset.asking) write(button, title);
  }
  part("fetch").hidden = row.state !== "done";
  const preview = previews.get(part("picture"));
  preview.wanted = row.preview;
  refresh(preview);
}

/** @param {any} row */
function pace(row) {
  if (row.state === "done") return [row.result, row.bytes ? bytes(row.bytes) : ""].filter(Boolean).join(" · ");
  if (row.state !== "rendering") return "";
  return [row.fps ? `${row.fps.toFixed(1)} fps` : "", row.eta === null ? "" : `${timeLeft(row.eta)} left`].filter(Boolean).join(" · ");
}

/** The time of day, and the day where it was another. @param {number} at seconds since 1970 */
function when(at) {
  const day = (date) => date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  const made = day(new Date(at * 1000));
  return made === day(new Date()) ? timeOfDay(at) : `${made} ${timeOfDay(at).slice(0, 5)}`;
}

/** @param {any} row */
function why(row) {
  if (!row.failing) return row.reason;
  const { number, attempts, reason } = row.failing;
  const segment = number === null ? "assembling" : `segment ${number}`;
  return `${segment}, attempt ${attempts}: ${reason || row.reason}`;
}

/** One cell a segment, or a cell for several: height and colour say how it is, its name in words.
 * @param {Element} strip @param {string} cells one of CELLS a segment */
function drawStrip(strip, cells) {
  strip.hidden = cells.length < 2;
  if (strip.dataset.cells === cells) return;
  strip.dataset.cells = cells;
  strip.replaceChildren(...[...cells].map((cell) => element("span", { "data-cell": CELLS[cell] ?? "waiting" })));
  const counts = Object.entries(CELLS).map(([sign, word]) => [[...cells].filter((cell) => cell === sign).length, word]);
  mark(strip, "aria-label", `segments: ${counts.filter(([count]) => count).map(([count, word]) => `${count} ${word}`).join(", ")}`);
  mark(strip, "title", strip.getAttribute("aria-label"));
}

/** Fetch a preview that has changed, at most every REFRESH. */
async function refresh(preview) {
  if (!preview.seen || !preview.wanted || preview.wanted === preview.shown || preview.timer) return;
  const wait = preview.at + REFRESH - performance.now();
  if (wait > 0) {
    preview.timer = setTimeout(() => { preview.timer = 0; refresh(preview); }, wait);
    return;
  }
  preview.at = performance.now();
  const { wanted, image } = preview;
  try {
    const url = await preview.api.picture(preview.path);
    URL.revokeObjectURL(image.src);
    image.src = url;
    image.hidden = false;
    mark(image, "alt", "preview");
    preview.shown = wanted;
  } catch {
    // the picture that is there stays; the next state asks again
  }
}

/** @param {import("../../lib/api.js").Api} api @param {string} id @param {string} verb */
async function perform(api, id, verb) {
  if (verb !== "remove") {
    await api.ask("POST", `/jobs/${id}/${verb}`);
    return;
  }
  await api.ask("DELETE", `/jobs/${id}`);
  byId("jobs").dispatchEvent(new CustomEvent("removed", { detail: id }));
}

/** A result may be larger than a page's memory, so the browser fetches it itself, by a ticket good for one download.
 * @param {import("../../lib/api.js").Api} api @param {string} id */
async function download(api, id) {
  const { ticket } = await (await api.ask("POST", `/jobs/${id}/ticket`)).json();
  element("a", { href: `/api/v1/jobs/${id}/download?ticket=${ticket}`, download: "" }).click();
}
