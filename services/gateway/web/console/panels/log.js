// The log line: what happened, newest first.

import { byId, element, keyed } from "../../lib/elements.js";
import { timeOfDay } from "../../lib/units.js";

const make = (event) => element("li", { class: event.kind }, element("time", {}, timeOfDay(event.at)), ` ${event.text}`);

/** @param {any} state */
export function log(state) {
  keyed(byId("log"), [...state.log].reverse(), (event) => `${event.number}/${event.at}`, make, () => {});
}
