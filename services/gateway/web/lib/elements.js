// Making and updating elements without losing the focus that is on them.

/** @param {string} id @returns {HTMLElement} */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * @param {string} name @param {Record<string, string>} [attributes] @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Set text only when it changes: screen readers announce every write. @param {Element} target @param {string} text */
export function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** @param {Element} target @param {string} name @param {string} value */
export function mark(target, name, value) {
  if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}

/**
 * Children of a container by key: made once, updated in place, removed when gone.
 * @template T
 * @param {Element} container @param {T[]} items @param {(item: T) => string} key
 * @param {(item: T) => Element} make @param {(child: Element, item: T) => void} update
 */
export function keyed(container, items, key, make, update) {
  const old = new Map([...container.children].map((child) => [child.dataset.key, child]));
  let place = container.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let child = old.get(name);
    old.delete(name);
    if (!child) {
      child = make(item);
      child.dataset.key = name;
    }
    if (child === place) place = place.nextElementSibling;
    else container.insertBefore(child, place);
    update(child, item);
  }
  for (const child of old.values()) child.remove();
}

/** Run an action of the operator; its error is shown beside it. @param {Element} place @param {() => Promise<unknown>} action */
export async function attempt(place, action) {
  write(place, "");
  try {
    await action();
  } catch (error) {
    write(place, error.message);
  }
}

const ASK_TIME = 5000;

/** A button that asks once, in place: the second press within five seconds does it.
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
    timer = setTimeout(calm, ASK_TIME);
  });
  button.addEventListener("keydown", (event) => { if (event.key === "Escape") calm(); });
  button.addEventListener("blur", calm);
}
