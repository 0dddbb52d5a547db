// Formatting of numbers with their units.

/** @param {number} number @returns {string} with two digits at least */
const pad = (number) => String(number).padStart(2, "0");

/** @param {number} seconds @returns {string} h:mm:ss */
export function clockTime(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${pad(Math.floor(whole / 3600))}:${pad(Math.floor(whole / 60) % 60)}:${pad(whole % 60)}`;
}

/** @param {number} count bytes @returns {string} */
export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let value = count;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** @param {number} at seconds since 1970 @returns {string} */
export function timeOfDay(at) {
  return new Date(at * 1000).toLocaleTimeString("en-GB", { hour12: false });
}

/** @param {number} seconds @returns {string} m:ss, or h:mm:ss from an hour on */
export function timeLeft(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const hours = Math.floor(whole / 3600);
  const rest = `${hours ? pad(Math.floor(whole / 60) % 60) : Math.floor(whole / 60) % 60}:${pad(whole % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

const LONG_MS = 10_000; // spans from this length on are shown in seconds

/** @param {...number} spans milliseconds @returns {string} the spans in one common unit, separated by slashes */
export function timeSpans(...spans) {
  const long = Math.max(...spans) >= LONG_MS;
  return `${spans.map((span) => (long ? (span / 1000).toFixed(1) : span.toFixed(0))).join(" / ")} ${long ? "s" : "ms"}`;
}
