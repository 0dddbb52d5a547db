// Creation and update of elements without losing the keyboard focus.

/**
 * The element with this id, which must exist in the page and be of this kind.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id @param {new () => T} [kind] @returns {T}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof (kind ?? HTMLElement))) throw new Error(`The page has no such element: ${id}`);
  return /** @type {T} */ (found);
}

/**
 * A new element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name @param {Record<string, string>} [attributes] @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Set text only when it changes: screen readers announce every write. @param {Element} target @param {string} text */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** Set an attribute only when it changes. @param {Element} target @param {string} name @param {string} value */
export function setAttribute(target, name, value) {
  if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}

/** The result of `make` for each child of a list, for later updates. @type {WeakMap<Element, any>} */
const partsOf = new WeakMap();

/**
 * Update the children of a container by key: make one for a new item, update it in place, remove it without its item.
 * @template T
 * @template {{root: HTMLElement}} P
 * @param {Element} container @param {T[]} items @param {(item: T) => string} key
 * @param {(item: T) => P} make returns the child, `root`, and the parts of it that `update` needs
 * @param {(parts: P, item: T) => void} update
 */
export function updateList(container, items, key, make, update) {
  const children = /** @type {HTMLElement[]} */ ([...container.children]);
  const old = new Map(children.map((child) => [child.dataset.key, child]));
  let place = container.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let child = old.get(name);
    old.delete(name);
    if (!child) {
      const parts = make(item);
      child = parts.root;
      child.dataset.key = name;
      partsOf.set(child, parts);
    }
    if (child === place) place = child.nextElementSibling;
    else container.insertBefore(child, place);
    update(partsOf.get(child), item);
  }
  for (const child of old.values()) child.remove();
}

/** The message of an error as one sentence. @param {unknown} error @returns {string} */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** Run an action of the operator and show its error in `place`. @param {Element} place @param {() => Promise<unknown>} action */
export async function attempt(place, action) {
  setText(place, "");
  try {
    await action();
  } catch (error) {
    setText(place, messageOf(error));
  }
}

/** @param {EventTarget | null} target @returns {boolean} whether keys are typed into it */
export const isField = (target) => target instanceof Element && target.matches("input, textarea, select");

const ASK_TIME_MS = 5000;

/** Make a button ask for confirmation in place: a second press within five seconds performs the action.
 * @param {HTMLButtonElement} button @param {() => string} question "" when there is nothing to ask @param {() => void} action */
export function askOnce(button, question, action) {
  let timer = 0;
  const calm = () => {
    clearTimeout(timer);
    delete button.dataset.asking;
  };
  button.addEventListener("click", () => {
    const asked = question();
    if (!asked || button.dataset.asking) {
      calm();
      action();
      return;
    }
    button.dataset.asking = asked;
    button.textContent = asked;
    timer = setTimeout(calm, ASK_TIME_MS);
  });
  button.addEventListener("keydown", (event) => { if (event.key === "Escape") calm(); });
  button.addEventListener("blur", calm);
}
