// Latency: driver to program as the gateway measures it, driver to canvas as this page does.

import { byId, element, write } from "../../lib/elements.js";
import { drawSpark, spark } from "../../lib/spark.js";
import { delayed } from "../../lib/units.js";
import { delay } from "./engine_latency.js";

const BUDGET = 83; // milliseconds from driver to canvas, 95th percentile
const HISTORY = 60;

/** @param {import("../../preview/stage.js").Stage} stage */
export function latency(stage) {
  const rows = {
    program: row("to program", "driver to program"),
    canvas: row("to screen", "driver to canvas"),
  };
  byId("latency").append(rows.program.box, rows.canvas.box);
  const inEngine = delay(byId("latency"));
  const seen = [];
  setInterval(() => {
    const measured = stage.latency();
    if (measured) seen.push(measured.p95);
    else seen.length = 0;
    if (seen.length > HISTORY) seen.shift();
  }, 1000);
  return (state) => {
    const gateway = state.services.gateway;
    // A mouth that is driven by a voice hears what comes next before it moves, and an engine that takes several frames at a
    // time waits for them: that is no slowness.
    const ahead = state.program.by_voice ? state.program.voice_delay_ms : state.engine.delay?.floor_ms ?? 0;
    fill(rows.program, gateway.p95 ? { median: gateway.p50, p95: gateway.p95 } : null, gateway.history.p95, ahead);
    fill(rows.canvas, stage.latency(), seen, ahead);
    inEngine(state);
  };
}

function row(short, long) {
  const number = element("span", { class: "number" });
  const line = spark(`${long}: 95th percentile, last minute`);
  const why = element("span", { class: "why" });
  const box = element("div", { class: "latency-row", role: "group", "aria-label": long },
    element("span", { class: "name" }, short), number, line, why);
  return { box, number, line, why };
}

function fill(target, measured, history, ahead) {
  const budget = BUDGET + ahead;
  write(target.number, measured ? delayed(measured.median, measured.p95) : "– ms");
  drawSpark(target.line, history, budget);
  write(target.why, measured && measured.p95 > budget ? `slow: over ${delayed(budget)} at the 95th percentile` : "");
}
