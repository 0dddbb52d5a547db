// Health: one row per stage, and what is wrong in words.

import { attempt, byId, element, keyed, mark, write } from "../../lib/elements.js";
import { drawSpark, spark } from "../../lib/spark.js";
import { bytes } from "../../lib/units.js";
import { ladder, lower } from "./quality.js";

const SIGNS = { live: "●", idle: "◐", plate: "◐", running: "●", starting: "◌", recovering: "↻" };
const SKIPPED = "driver frame skipped";

/** @param {import("../../lib/api.js").Api} api */
export function health(api) {
  let offered = "";
  const make = ([name]) => {
    const down = element("button", { class: "down", hidden: "" });
    down.addEventListener("click", () => attempt(byId("engine-error"), () => api.patch({ quality: offered })));
    return element("div", { class: "stage-row", role: "group", "aria-label": name },
      element("span", { class: "sign", "aria-hidden": "true" }),
      element("span", { class: "name" }, name),
      element("span", { class: "number fps" }),
      spark(`${name}: frames per second, last minute`),
      element("span", { class: "detail" }),
      element("span", { class: "why" }), down);
  };
  return (state) => keyed(byId("health"), Object.entries(state.services), ([name]) => name, make, (row, [name, service]) => {
    const [sign, , fps, line, detail, why, down] = row.children;
    write(sign, SIGNS[service.state] ?? "●");
    mark(row, "data-state", service.state);
    write(fps, `${service.fps.toFixed(1)} fps`);
    drawSpark(line, service.history.fps, state.rate);
    const drops = Object.values(service.drops).reduce((sum, count) => sum + count, 0);
    write(detail, `${service.state} · ${drops} drops · ${bytes(service.rss)}`);
    mark(detail, "title", Object.entries(service.drops).map(([reason, count]) => `${count} ${reason}`).join(", "));
    const rung = name === "generator" && skipping(service) ? lower(state) : undefined;
    write(why, sentence(name, service, ladder(state).length > 0, rung));
    down.hidden = !rung;
    if (rung) {
      offered = rung.name;
      write(down, `Step down to ${rung.title}`);
    }
  });
}

/** @returns {number} driver frames skipped a second, 0 where that is next to none */
function skipping(service) {
  const rate = service.drop_rates[SKIPPED] ?? 0;
  return rate >= 1 ? rate : 0;
}

/** What is wrong with a stage, in words. */
function sentence(name, service, stepped, rung) {
  if (service.state === "recovering") return `${name} has been silent for ${service.age.toFixed(0)} s; it is being restarted.`;
  const skipped = skipping(service);
  if (skipped) {
    const way = rung ? ", step down?" : stepped ? "; this is its lowest quality." : ".";
    return [`${name} behind: ${skipped.toFixed(0)} driver frames skipped/s${way}`, service.note].filter(Boolean).join("\n");
  }
  if (service.note) return service.note;
  if (service.drop_rate >= 1) return `${name} is behind: ${service.drop_rate.toFixed(0)} drops/s.`;
  return "";
}
