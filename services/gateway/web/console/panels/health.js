// Health: one row per service, with a sentence about what is wrong.

import { attempt, byId, element, setAttribute, setText, updateList } from "../../lib/elements.js";
import { drawSpark, makeSpark } from "../../lib/spark.js";
import { bytes } from "../../lib/units.js";
import { nextLower, qualitiesOf } from "./options.js";

/** @typedef {import("../../lib/api_types.js").ServiceHealth} ServiceHealth */
/** @typedef {import("../../lib/api_types.js").EngineQuality} EngineQuality */

/** @type {Record<string, string>} */
const SIGNS = { live: "●", idle: "◐", plate: "◐", running: "●", starting: "◌", recovering: "↻" };
const SKIPPED = "driver frame skipped";

/** @param {import("../../lib/api.js").Api} api @returns {import("../../lib/globals.js").Panel} */
export function health(api) {
  let offered = "";
  /** @param {[string, ServiceHealth]} service */
  const make = ([name]) => {
    const down = element("button", { class: "step-down", hidden: "" });
    down.addEventListener("click", () => attempt(byId("engine-error"), () => api.patch({ options: { quality: offered } })));
    const sign = element("span", { class: "sign", "aria-hidden": "true" }), fps = element("span", { class: "number fps" });
    const line = makeSpark(`${name}: frames per second, last minute`);
    const detail = element("span", { class: "detail" }), why = element("span", { class: "why" });
    const root = element("div", { class: "stage-row", role: "group", "aria-label": name },
      sign, element("span", { class: "name" }, name), fps, line, detail, why, down);
    return { root, sign, fps, line, detail, why, down };
  };
  return (state) => updateList(byId("health"), Object.entries(state.services), ([name]) => name, make, (row, [name, service]) => {
    const { root, sign, fps, line, detail, why, down } = row;
    setText(sign, SIGNS[service.state] ?? "●");
    setAttribute(root, "data-state", service.state);
    setText(fps, `${service.fps.toFixed(1)} fps`);
    drawSpark(line, service.history.fps, state.rate);
    const drops = Object.values(service.drops).reduce((sum, count) => sum + count, 0);
    setText(detail, `${service.state} · ${drops} drops · ${bytes(service.rss)}`);
    setAttribute(detail, "title", Object.entries(service.drops).map(([reason, count]) => `${count} ${reason}`).join(", "));
    const rung = name === "generator" && skipping(service) ? nextLower(state) : undefined;
    setText(why, complaint(name, service, qualitiesOf(state).length > 0, rung));
    down.hidden = !rung;
    if (rung) {
      offered = rung.name;
      setText(down, `Step down to ${rung.title}`);
    }
  });
}

/** @param {ServiceHealth} service @returns {number} driver frames skipped a second, 0 if negligible */
function skipping(service) {
  const rate = service.drop_rates[SKIPPED] ?? 0;
  return rate >= 1 ? rate : 0;
}

/**
 * What is wrong with a service, in words.
 * @param {string} name @param {ServiceHealth} service @param {boolean} stepped whether its engine has several qualities
 * @param {EngineQuality | undefined} rung the next lower quality
 */
function complaint(name, service, stepped, rung) {
  if (service.state === "recovering") return `${name} has not responded for ${(service.age ?? 0).toFixed(0)} s and is being restarted.`;
  const skipped = skipping(service);
  if (skipped) {
    const way = rung ? " Step down?" : stepped ? " This is its lowest quality." : "";
    return [`${name} is behind: it skips ${skipped.toFixed(0)} driver frames per second.${way}`, service.note].filter(Boolean).join("\n");
  }
  if (service.note) return service.note;
  if (service.drop_rate >= 1) return `${name} is behind: ${service.drop_rate.toFixed(0)} drops/s.`;
  return "";
}
