// Finding one of many avatars: a search box by name, and arrow keys in the list.

import { byId, setAttribute, setText } from "../../lib/elements.js";

const MANY = 12; // number of avatars from which the list is dense, scrolls and has a search box
/** @type {Record<string, number>} */
const STEPS = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };

/** @param {number} count of avatars @returns {boolean} */
export const isMany = (count) => count >= MANY;

/** @param {() => void} changed called when the search has changed, to draw the list */
export function avatarSearch(changed) {
  const list = byId("avatars"), box = byId("avatar-search", HTMLInputElement);
  /** @returns {string[]} words in the search box, all of which a name has to contain */
  const words = () => box.value.toLowerCase().split(/\s+/).filter(Boolean);
  /** @param {string} name @returns {boolean} */
  const matches = (name) => words().every((word) => name.includes(word));
  const clear = () => {
    box.value = "";
    changed();
  };
  box.addEventListener("input", changed);
  box.addEventListener("keydown", (event) => {
    const [first, ...others] = buttonsOf(list).filter((button) => button.parentElement?.dataset.found === "true");
    if (event.key === "Escape" && box.value) clear();
    else if (event.key === "Escape") box.blur();
    else if (event.key === "Enter" && first && !others.length) {
      first.click();
      clear();
    }
    else if (event.key === "ArrowDown" || event.key === "Enter") first?.focus();
    else return;
    event.preventDefault();
  });
  list.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && box.value) clear();
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = buttonsOf(list), at = buttons.findIndex((button) => button.parentElement?.contains(document.activeElement));
    const to = at + step;
    if (to < 0 && step === -1 && !byId("avatar-find").hidden) box.focus();
    else buttons[Math.max(0, Math.min(to, buttons.length - 1))]?.focus();
  });
  list.addEventListener("focusin", (event) => keepOneTabStop(list, event.target));

  return {
    matches,
    /** Update the search box and tab stops after the list was drawn. @param {string[]} names of all avatars */
    draw(names) {
      const many = isMany(names.length);
      if (!many && box.value) box.value = "";
      byId("avatar-find").hidden = !many;
      setAttribute(list, "data-many", String(many));
      setText(byId("avatar-found"), box.value.trim() ? `${names.filter(matches).length} of ${names.length}` : String(names.length));
      keepOneTabStop(list, document.activeElement);
    },
  };
}

/** The focusable button of each visible row that has one. @param {HTMLElement} list @returns {HTMLButtonElement[]} */
function buttonsOf(list) {
  const rows = [...list.children].filter((row) => row instanceof HTMLElement && !row.hidden);
  return rows.flatMap((row) => row.querySelector("button:enabled:not([hidden])") ?? []).map((button) => /** @type {HTMLButtonElement} */ (button));
}

/** Give the list a single tab stop: the row with the focus, else the chosen one, else the first.
 * @param {HTMLElement} list @param {EventTarget | null} focused */
function keepOneTabStop(list, focused) {
  const buttons = buttonsOf(list);
  const stop = (focused instanceof Node && buttons.find((button) => button.parentElement?.contains(focused)))
    || buttons.find((button) => button.getAttribute("aria-pressed") === "true") || buttons[0];
  for (const button of list.querySelectorAll("button")) setAttribute(button, "tabindex", button.parentElement === stop?.parentElement ? "0" : "-1");
}
