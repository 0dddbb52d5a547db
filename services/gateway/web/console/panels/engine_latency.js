// Motion to photon of an engine that takes several frames at a time: measured, beside what it cannot go below, and why.

import { element, write } from "../../lib/elements.js";
import { drawSpark, spark } from "../../lib/spark.js";
import { delayed } from "../../lib/units.js";

const COUNTS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight"];

/** @param {Element} place @returns {(state: any) => void} */
export function delay(place) {
  const number = element("span", { class: "number" });
  const line = spark("motion to photon, through the engine: last minute");
  const floor = element("p", { class: "detail" }), why = element("p", { class: "why" });
  const reasons = [element("p"), element("p"), element("p")];
  const row = element("div", { class: "latency-row", role: "group", "aria-label": "motion to photon, through the engine" },
    element("span", { class: "name" }, "in the engine"), number, line, floor, why,
    element("details", {}, element("summary", {}, "Why not less?"), ...reasons));
  row.hidden = true;
  place.append(row);
  return (state) => {
    const measured = state.engine.delay;
    row.hidden = !measured;
    if (!measured) return;
    const over = measured.ms - measured.floor_ms;
    write(number, delayed(measured.ms));
    drawSpark(line, state.engine.delay_history, measured.floor_ms);
    write(floor, `motion to photon, floor ${delayed(measured.floor_ms)}`);
    write(why, over > step(measured) ? `${delayed(over)} over its floor: more than a whole call` : "");
    [what, sum, remedy].forEach((words, i) => write(reasons[i], words(measured)));
  };
}

const count = (value) => COUNTS[value] ?? String(value);

/** Milliseconds from one call to the next: it waits for its frames, or they for it. */
const step = ({ frames, interval_ms, call_ms }) => Math.max(frames * interval_ms, call_ms);

const what = ({ frames, calls }) =>
  `The model takes ${count(frames)} driver frames at a time, and a frame passes its window in ${count(calls)} calls.`;

const sum = (measured) => {
  const { frames, calls, interval_ms, call_ms } = measured;
  const fill = `${frames} frames at ${Number((1000 / interval_ms).toFixed(1))}/s fill in ${delayed((frames - 1) * interval_ms)}`;
  const more = calls > 1 ? `, ${count(calls - 1)} more ${calls > 2 ? "calls wait" : "call waits"} ${delayed(step(measured))}${calls > 2 ? " each" : ""}` : "";
  return `${fill}${more}, the last takes ${delayed(call_ms)}: ${delayed(measured.floor_ms)} in all. What is above that is a call waiting for the one before it, `
    + "and frames handed on evenly. Composing and sending come on top: the rows above have them in.";
};

const remedy = ({ frames, interval_ms, call_ms }) => (frames * interval_ms >= call_ms
  ? "Lower it with a driver of more frames a second: it is the driver that is waited for. A lower quality shortens the last call only."
  : "Lower it with a lower quality or a faster card: it is the model that is waited for.");
