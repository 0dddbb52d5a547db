// The event log, newest event first.

import { byId, element, updateList } from "../../lib/elements.js";
import { timeOfDay } from "../../lib/units.js";

/** @param {import("../../lib/api_types.js").Event} event */
const make = (event) => ({ root: element("li", { class: event.kind }, element("time", {}, timeOfDay(event.at)), ` ${event.text}`) });

/** @type {import("../../lib/globals.js").Panel} */
export function log(state) {
  updateList(byId("log"), [...state.log].reverse(), (event) => `${event.number}/${event.at}`, make, () => {});
}
