// Health: one row per stage, and what is wrong in words.

import { byId, element, keyed, mark, write } from "../elements.js";
import { drawSpark, spark } from "../spark.js";
import { bytes } from "../units.js";

const SIGNS = { live: "●", idle: "◐", plate: "◐", running: "●", starting: "◌", recovering: "↻" };

const make = ([name]) => element("div", { class: "stage-row", role: "group", "aria-label": name },
  element("span", { class: "sign", "aria-hidden": "true" }),
  element("span", { class: "name" }, name),
  element("span", { class: "number fps" }),
  spark(`${name}: frames per second, last minute`),
  element("span", { class: "detail" }),
  element("span", { class: "why" }));

/** @param {any} state */
export function health(state) {
  keyed(byId("health"), Object.entries(state.services), ([name]) => name, make, (row, [name, service]) => {
    const [sign, , fps, line, detail, why] = row.children;
    write(sign, SIGNS[service.state] ?? "●");
    mark(row, "data-state", service.state);
    write(fps, `${service.fps.toFixed(1)} fps`);
    drawSpark(line, service.history.fps, state.rate);
    const drops = Object.values(service.drops).reduce((sum, count) => sum + count, 0);
    write(detail, `${service.state} · ${drops} drops · ${bytes(service.rss)}`);
    mark(detail, "title", Object.entries(service.drops).map(([reason, count]) => `${count} ${reason}`).join(", "));
    write(why, sentence(name, service));
  });
}

/** What is wrong with a stage, in words. */
function sentence(name, service) {
  if (service.state === "recovering") return `${name} has been silent for ${service.age.toFixed(0)} s; it is being restarted.`;
  if (service.note) return service.note;
  if (service.drop_rate >= 1) return `${name} is behind: ${service.drop_rate.toFixed(0)} drops/s.`;
  return "";
}
