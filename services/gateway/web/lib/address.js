// Where the studio is: its pages may be shown below a path of a proxy, so every address counts from this module's own.

/** The address that all paths of the studio are below. It ends with a slash. */
export const BASE = new URL("../../", import.meta.url);

/** The address of a path of the studio. @param {string} path that begins with a slash @returns {string} */
export function addressOf(path) {
  return BASE.href + path.slice(1);
}

/** The address of one of its sockets. @param {string} path that begins with a slash @returns {string} */
export function socketAddressOf(path) {
  return addressOf(path).replace(/^http/, "ws");
}
