// The operator's token: taken from the address once, kept for this tab only, never left in the address.

import { BASE } from "./address.js";

/** Of this studio: another one may be below another path of the same proxy. */
const KEY = `persona-studio-token ${BASE.pathname}`;

/** @returns {string} the token, or "" when the page was opened without one */
export function readToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(KEY) ?? "";
}

/** @param {string} token */
export function keepToken(token) {
  sessionStorage.setItem(KEY, token);
}

export function forgetToken() {
  sessionStorage.removeItem(KEY);
}
