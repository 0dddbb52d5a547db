// Jobs: the tab beside the program, the list with its filter, and the line at the bottom.

import { attempt, byId, element, setAttribute, setText, updateList } from "../../../lib/elements.js";
import { makeJob, updateJob } from "./job_row.js";
import { jobForm } from "./job_form.js";

/** @typedef {import("../../../lib/api_types.js").JobRow} JobRow */
/** @typedef {import("../../../lib/api_types.js").JobsState} JobsState */
/** @typedef {JobsState["counts"]} Counts */

const PAGE = 50;
/** The counts in the line at the bottom, in this order: title, states. @type {[string, JobRow["state"][]][]} */
const LINE_PARTS = [["running", ["rendering", "assembling"]], ["queued", ["queued"]], ["paused", ["paused"]], ["parked", ["parked"]]];
/** @type {JobRow["state"][]} */
const STATES = ["rendering", "assembling", "queued", "paused", "parked", "done", "cancelled"];

/** @param {import("../../../lib/api.js").Api} api @returns {import("../../../lib/globals.js").Panel} */
export function jobs(api) {
  const tabs = makeTabs();
  const drawForm = jobForm(api);
  const filter = byId("jobs-filter", HTMLSelectElement);
  /** Jobs that "More" has loaded, in addition to those in the state. @type {Map<string, JobRow>} */
  const older = new Map();
  /** @type {JobsState | null} */
  let shown = null;
  let drawn = "";

  /** @param {JobsState} facts */
  const draw = (facts) => {
    const wanted = STATES.find((state) => state === filter.value);
    const rows = [...new Map([...older.values(), ...facts.rows].map((row) => [row.id, row])).values()]
      .filter((row) => !wanted || row.state === wanted)
      .sort((a, b) => b.created - a.created || (a.id < b.id ? -1 : 1));
    updateList(byId("jobs"), rows, (row) => row.id, (row) => makeJob(api, row), updateJob);
    const there = wanted ? facts.counts[wanted] ?? 0 : total(facts.counts);
    byId("jobs-more").hidden = rows.length >= there;
    setText(byId("jobs-more"), `More (${there - rows.length})`);
    setText(byId("jobs-empty"), rows.length || there ? "" : wanted ? `No ${wanted} jobs.`
      : "No jobs yet. A job renders an avatar, moved by a driver (a video of a face, or speech), to a file. The program is not interrupted.");
  };
  const more = () => attempt(byId("job-error"), async () => {
    const offset = byId("jobs").childElementCount;
    /** @type {import("../../../lib/api_types.js").JobPage} */
    const page = await (await api.ask("GET", `/jobs?limit=${PAGE}&offset=${offset}&state=${filter.value}`)).json();
    for (const row of page.jobs) older.set(row.id, row);
    if (shown) draw(shown);
  });
  byId("jobs-more").addEventListener("click", more);
  filter.addEventListener("change", () => {
    older.clear();
    if (shown) draw(shown);
    const chosen = STATES.find((state) => state === filter.value);
    if (chosen && byId("jobs").childElementCount < Math.min(PAGE, shown?.counts[chosen] ?? 0)) more();
  });
  byId("jobs").addEventListener("removed", (event) => { if (event instanceof CustomEvent) older.delete(event.detail); });

  return (state) => {
    drawForm(state);
    const facts = state.jobs;
    if (!facts || (facts === shown && drawn === tabs.current())) return;
    shown = facts;
    drawn = tabs.current();
    setText(byId("jobs-line"), countsLine(facts.counts));
    setText(byId("tab-jobs"), unfinished(facts.counts) ? `Jobs · ${unfinished(facts.counts)}` : "Jobs");
    if (drawn !== "tab-jobs") return;
    setText(byId("jobs-note"), facts.note);
    setText(byId("jobs-workers"), workersLine(facts.workers));
    drawFilter(filter, facts.counts);
    draw(facts);
  };
}

/** @param {Counts} counts */
const total = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);
/** @param {Counts} counts */
const unfinished = (counts) => total(counts) - (counts.done ?? 0) - (counts.cancelled ?? 0);

/** @param {Counts} counts @returns {string} for the line at the bottom */
function countsLine(counts) {
  const parts = LINE_PARTS.map(([word, states]) => ({ word, count: states.reduce((sum, each) => sum + (counts[each] ?? 0), 0) }));
  const words = parts.filter(({ count }) => count).map(({ count, word }) => `${count} ${word}`);
  if (words.length) return `jobs: ${words.join(", ")}`;
  return counts.done ? `jobs: ${counts.done} done` : "jobs: none";
}

/** @param {JobsState["workers"]} workers */
function workersLine(workers) {
  if (!workers?.alive) return "";
  return `${workers.alive} worker${workers.alive === 1 ? "" : "s"}, ${workers.at_work} busy`;
}

/** @param {HTMLSelectElement} filter @param {Counts} counts */
function drawFilter(filter, counts) {
  const rows = [["", `all (${total(counts)})`], ...STATES.map((state) => [state, `${state} (${counts[state] ?? 0})`])];
  updateList(filter, rows, ([value]) => value || "all", ([value]) => ({ root: element("option", { value }) }), ({ root }, [, text]) => setText(root, text));
}

/** The two tabs of the right column. Arrow keys switch between them; the line at the bottom and J toggle the jobs tab. */
function makeTabs() {
  const tabs = [["tab-program", "program-side"], ["tab-jobs", "jobs-side"]];
  let current = "tab-program";
  /** @param {string} chosen */
  const show = (chosen) => {
    current = chosen;
    for (const [tab, side] of tabs) {
      setAttribute(byId(tab), "aria-selected", String(tab === chosen));
      byId(tab).tabIndex = tab === chosen ? 0 : -1;
      byId(side).hidden = tab !== chosen;
    }
    setAttribute(byId("jobs-line"), "aria-pressed", String(chosen === "tab-jobs"));
  };
  for (const [index, [tab]] of tabs.entries()) {
    byId(tab).addEventListener("click", () => show(tab));
    byId(tab).addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      event.preventDefault();
      const [other] = tabs[1 - index];
      show(other);
      byId(other).focus();
    });
  }
  byId("jobs-line").addEventListener("click", () => {
    show(current === "tab-jobs" ? "tab-program" : "tab-jobs");
    byId(current).scrollIntoView({ block: "nearest" });
  });
  return { current: () => current };
}
