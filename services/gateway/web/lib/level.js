// A level meter: loudness in decibels as a bar and a value.

import { setAttribute } from "./elements.js";

export const QUIETEST_DB = -60;

/** @param {number} level 0 to 1 @returns {number} decibels, QUIETEST_DB at least */
export function decibels(level) {
  return level > 0 ? Math.max(QUIETEST_DB, 20 * Math.log10(level)) : QUIETEST_DB;
}

/** @param {HTMLElement} meter of role meter, whose only child is the bar @param {number} level 0 to 1 */
export function drawLevel(meter, level) {
  const loud = decibels(level);
  const bar = /** @type {HTMLElement} */ (meter.firstElementChild);
  bar.style.width = `${((loud - QUIETEST_DB) / -QUIETEST_DB) * 100}%`;
  setAttribute(meter, "aria-valuenow", loud.toFixed(0));
}

/** @param {Int16Array} block @returns {number} its loudness, 0 to 1 */
export function levelOf(block) {
  let sum = 0;
  for (const sample of block) sum += sample * sample;
  return Math.sqrt(sum / block.length) / 32768;
}
