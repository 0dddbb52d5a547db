// Motion-to-photon latency of an engine that takes several frames at a time: the measured value, its lower bound, and the reasons.

import { element, setText } from "../../lib/elements.js";
import { drawSpark, makeSpark } from "../../lib/spark.js";
import { timeSpans } from "../../lib/units.js";

const COUNTS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight"];

/** @typedef {import("../../lib/api_types.js").EngineDelay} EngineDelay */

/** @param {Element} place @returns {(state: import("../../lib/globals.js").State) => void} */
export function engineLatency(place) {
  const number = element("span", { class: "number" });
  const line = makeSpark("motion to photon, through the engine: last minute");
  const floor = element("p", { class: "detail" }), why = element("p", { class: "why" });
  const reasons = [element("p"), element("p"), element("p")];
  const row = element("div", { class: "latency-row", role: "group", "aria-label": "motion to photon, through the engine" },
    element("span", { class: "name" }, "engine"), number, line, floor, why,
    element("details", {}, element("summary", {}, "What limits this?"), ...reasons));
  row.hidden = true;
  place.append(row);
  return (state) => {
    const measured = state.engine.delay;
    row.hidden = !measured;
    if (!measured) return;
    const over = measured.ms - measured.floor_ms;
    setText(number, timeSpans(measured.ms));
    drawSpark(line, state.engine.delay_history, measured.floor_ms);
    setText(floor, `motion to photon, floor ${timeSpans(measured.floor_ms)}`);
    setText(why, over > callPeriod(measured) ? `${timeSpans(over)} above the floor: more than one full call` : "");
    [explainCalls, explainFloor, explainRemedy].forEach((explain, i) => setText(reasons[i], explain(measured)));
  };
}

/** @param {number} value @returns {string} in words */
const count = (value) => COUNTS[value] ?? String(value);

/** Milliseconds between calls: the longer of collecting a call's frames and the call itself. @param {EngineDelay} measured */
const callPeriod = ({ frames, interval_ms, call_ms }) => Math.max(frames * interval_ms, call_ms);

/** @param {EngineDelay} measured @returns {string} what the engine waits for */
const explainCalls = ({ frames, calls }) =>
  `The model takes ${count(frames)} driver frames per call, and a frame leaves its window after ${count(calls)} ${calls === 1 ? "call" : "calls"}.`;

/** @param {EngineDelay} measured @returns {string} how the floor is made up */
const explainFloor = (measured) => {
  const { frames, calls, interval_ms, call_ms } = measured;
  const fill = `Collecting ${frames} frames at ${Number((1000 / interval_ms).toFixed(1))} fps takes ${timeSpans((frames - 1) * interval_ms)}`;
  const more = calls > 1 ? `, ${count(calls - 1)} more ${calls > 2 ? "calls add" : "call adds"} ${timeSpans(callPeriod(measured))}${calls > 2 ? " each" : ""}` : "";
  return `${fill}${more}, and the last call takes ${timeSpans(call_ms)}: ${timeSpans(measured.floor_ms)} in total. Anything above that is time spent waiting for `
    + "the previous call and pacing the frames evenly. The rows above also include compositing and delivery.";
};

/** @param {EngineDelay} measured @returns {string} how to lower it */
const explainRemedy = ({ frames, interval_ms, call_ms }) => (frames * interval_ms >= call_ms
  ? "To lower it, use a driver with a higher frame rate: the model waits for the driver. A lower quality shortens only the last call."
  : "To lower it, choose a lower quality or a faster GPU: the driver waits for the model.");
