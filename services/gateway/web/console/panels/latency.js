// Latency: driver to program, measured by the gateway, and driver to canvas, measured by this page.

import { byId, element, setText } from "../../lib/elements.js";
import { drawSpark, makeSpark } from "../../lib/spark.js";
import { timeSpans } from "../../lib/units.js";
import { engineLatency } from "./engine_latency.js";

const BUDGET_MS = 83; // from driver to canvas, 95th percentile
const HISTORY_S = 60;

/** @param {import("../../preview/stage.js").Stage} stage @returns {import("../../lib/globals.js").Panel} */
export function latency(stage) {
  const rows = {
    program: latencyRow("to program", "driver to program"),
    canvas: latencyRow("to screen", "driver to canvas"),
  };
  byId("latency").append(rows.program.box, rows.canvas.box);
  const drawEngineLatency = engineLatency(byId("latency"));
  /** @type {number[]} */
  const seen = [];
  setInterval(() => {
    const measured = stage.latency();
    if (measured) seen.push(measured.p95);
    else seen.length = 0;
    if (seen.length > HISTORY_S) seen.shift();
  }, 1000);
  return (state) => {
    const gateway = state.services.gateway;
    // A voice-driven mouth needs to hear ahead before it moves, and an engine that takes several frames at a time waits for
    // them. These inherent delays do not count as slowness.
    const ahead = state.program.by_voice ? state.program.voice_delay_ms : state.engine.delay?.floor_ms ?? 0;
    drawRow(rows.program, gateway.p95 ? { median: gateway.p50, p95: gateway.p95 } : null, gateway.history.p95, ahead);
    drawRow(rows.canvas, stage.latency(), seen, ahead);
    drawEngineLatency(state);
  };
}

/** @param {string} short @param {string} long its name for screen readers */
function latencyRow(short, long) {
  const number = element("span", { class: "number" });
  const line = makeSpark(`${long}: 95th percentile, last minute`);
  const why = element("span", { class: "why" });
  const box = element("div", { class: "latency-row", role: "group", "aria-label": long },
    element("span", { class: "name" }, short), number, line, why);
  return { box, number, line, why };
}

/**
 * @param {ReturnType<typeof latencyRow>} target @param {{median: number, p95: number} | null} measured milliseconds
 * @param {number[]} history milliseconds, oldest first @param {number} ahead inherent delay in milliseconds, which does not count as slowness
 */
function drawRow(target, measured, history, ahead) {
  const budget = BUDGET_MS + ahead;
  setText(target.number, measured ? timeSpans(measured.median, measured.p95) : "– ms");
  drawSpark(target.line, history, budget);
  setText(target.why, measured && measured.p95 > budget ? `slow: over ${timeSpans(budget)} at the 95th percentile` : "");
}
