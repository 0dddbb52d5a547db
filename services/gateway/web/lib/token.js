// The operator's token: read from the address once and removed from it, stored for this tab only.

import { BASE } from "./address.js";

/** Storage key; includes the path, because a proxy may serve another studio below another path. */
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
