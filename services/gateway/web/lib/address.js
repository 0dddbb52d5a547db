// The studio's addresses. A proxy may serve the pages below a path, so every address is relative to this module's URL.

/** The base address of the studio; ends with a slash. */
export const BASE = new URL("../../", import.meta.url);

/** The URL of a path of the studio. @param {string} path that begins with a slash @returns {string} */
export function addressOf(path) {
  return BASE.href + path.slice(1);
}

/** The WebSocket URL of a path of the studio. @param {string} path that begins with a slash @returns {string} */
export function socketAddressOf(path) {
  return addressOf(path).replace(/^http/, "ws");
}
