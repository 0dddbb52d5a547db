// Jobs: the tab beside the program, the list with its filter, and the line at the bottom.

import { attempt, byId, element, keyed, mark, write } from "../../lib/elements.js";
import { makeJob, updateJob } from "./job_row.js";
import { submit } from "./job_form.js";

const PAGE = 50;
/** What the line at the bottom tells, in this order. */
const TOLD = [["running", ["rendering", "assembling"]], ["queued", ["queued"]], ["paused", ["paused"]], ["parked", ["parked"]]];
const STATES = ["rendering", "assembling", "queued", "paused", "parked", "done", "cancelled"];

/** @param {import("../../lib/api.js").Api} api */
export function jobs(api) {
  const tabs = makeTabs();
  const form = submit(api);
  const filter = byId("jobs-filter");
  const older = new Map();  // asked for by "More": beyond what the state carries
  let shown = null;
  let drawn = "";

  const draw = (facts) => {
    const wanted = filter.value;
    const rows = [...new Map([...older, ...facts.rows.map((row) => [row.id, row])]).values()]
      .filter((row) => !wanted || row.state === wanted)
      .sort((a, b) => b.created - a.created || (a.id < b.id ? -1 : 1));
    keyed(byId("jobs"), rows, (row) => row.id, (row) => makeJob(api, row), (child, row) => updateJob(api, child, row));
    const there = wanted ? facts.counts[wanted] ?? 0 : total(facts.counts);
    byId("jobs-more").hidden = rows.length >= there;
    write(byId("jobs-more"), `More (${there - rows.length})`);
    write(byId("jobs-empty"), rows.length || there ? "" : wanted ? `No job is ${wanted}.`
      : "No jobs yet. A job renders a driver, a film of a face or a speech, on an avatar into a file, while the program goes on.");
  };
  const more = () => attempt(byId("job-error"), async () => {
    const offset = byId("jobs").childElementCount;
    const page = await (await api.ask("GET", `/jobs?limit=${PAGE}&offset=${offset}&state=${filter.value}`)).json();
    for (const row of page.jobs) older.set(row.id, row);
    draw(shown);
  });
  byId("jobs-more").addEventListener("click", more);
  filter.addEventListener("change", () => {
    older.clear();
    if (shown) draw(shown);
    if (filter.value && byId("jobs").childElementCount < Math.min(PAGE, shown?.counts[filter.value] ?? 0)) more();
  });
  byId("jobs").addEventListener("removed", (event) => older.delete(event.detail));

  return (state) => {
    form(state);
    const facts = state.jobs;
    if (!facts || (facts === shown && drawn === tabs.open())) return;
    shown = facts;
    drawn = tabs.open();
    write(byId("jobs-line"), line(facts.counts));
    write(byId("tab-jobs"), unfinished(facts.counts) ? `Jobs · ${unfinished(facts.counts)}` : "Jobs");
    if (drawn !== "tab-jobs") return;
    write(byId("jobs-note"), facts.note);
    write(byId("jobs-workers"), staff(facts.workers));
    options(filter, facts.counts);
    draw(facts);
  };
}

const total = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);
const unfinished = (counts) => total(counts) - (counts.done ?? 0) - (counts.cancelled ?? 0);

/** @param {Record<string, number>} counts */
function line(counts) {
  const told = TOLD.map(([word, states]) => [states.reduce((sum, each) => sum + (counts[each] ?? 0), 0), word]);
  const words = told.filter(([count]) => count).map(([count, word]) => `${count} ${word}`);
  if (words.length) return `jobs: ${words.join(", ")}`;
  return counts.done ? `jobs: ${counts.done} done` : "jobs: none";
}

/** @param {{alive: number, at_work: number} | null} workers */
function staff(workers) {
  if (!workers?.alive) return "";
  return `${workers.alive} worker${workers.alive === 1 ? "" : "s"}, ${workers.at_work} at work`;
}

/** @param {HTMLSelectElement} filter @param {Record<string, number>} counts */
function options(filter, counts) {
  const rows = [["", `all (${total(counts)})`], ...STATES.map((state) => [state, `${state} (${counts[state] ?? 0})`])];
  keyed(filter, rows, ([value]) => value || "all", ([value]) => element("option", { value }), (child, [, text]) => write(child, text));
}

/** The two tabs of the right column: arrow keys go between them, the line at the bottom and J go there and back. */
function makeTabs() {
  const tabs = [["tab-program", "program-side"], ["tab-jobs", "jobs-side"]];
  let open = "tab-program";
  const show = (chosen) => {
    open = chosen;
    for (const [tab, side] of tabs) {
      mark(byId(tab), "aria-selected", String(tab === chosen));
      byId(tab).tabIndex = tab === chosen ? 0 : -1;
      byId(side).hidden = tab !== chosen;
    }
    mark(byId("jobs-line"), "aria-pressed", String(chosen === "tab-jobs"));
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
    show(open === "tab-jobs" ? "tab-program" : "tab-jobs");
    byId(open).scrollIntoView({ block: "nearest" });
  });
  return { open: () => open };
}
