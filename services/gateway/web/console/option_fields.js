// Form fields for an engine's options, made from their JSON schema; used for the scene and for jobs.

import { attempt, element, messageOf, setAttribute, setText, updateList } from "../lib/elements.js";

/** @typedef {import("../lib/globals.js").OptionSchema} OptionSchema */
/** @typedef {import("../lib/globals.js").OptionValue} OptionValue */
/** @typedef {import("../lib/globals.js").OptionChanges} OptionChanges */
/** @typedef {import("../lib/api_types.js").EngineRow} EngineRow */
/** @typedef {[name: string, schema: OptionSchema]} Option */
/** @typedef {ReturnType<typeof makeField>} Field */

const FIRST = "quality"; // shown separately, before the other options
const SETTLED_MS = 300; // delay before sending, because arrow keys pass through unwanted choices
const LINE_CHARACTERS = 80; // a longer text gets a field with several lines

/** The options of an engine, in the order of its schema. @param {EngineRow | undefined} row @returns {Option[]} */
export function optionsOf(row) {
  const schema = /** @type {{properties?: Record<string, OptionSchema>}} */ (row?.options ?? {});
  return Object.entries(schema.properties ?? {});
}

/**
 * The option fields of the engine that was drawn last. A value that equals the default counts as not set.
 * @param {HTMLElement} place container of the fields; its existing content stays between the first field and the others
 * @param {string} prefix of the elements' ids
 * @param {((changes: OptionChanges) => Promise<unknown>) | null} send sends a change immediately, with null for the default; null
 *   if the fields are read later with `values`
 */
export function optionFields(place, prefix, send) {
  const first = element("div", { class: "options" }), others = element("div", { class: "options" });
  const summary = element("summary"), restore = element("button", { type: "button", class: "quiet" }, "Reset to defaults");
  const failed = element("p", { class: "bad", role: "alert" });
  const more = element("details", {}, summary, others, restore, failed);
  place.prepend(first);
  place.append(more);
  /** @type {Map<string, Field>} the fields that are shown, by option name */
  const fields = new Map();
  const changed = () => [...fields].filter(([, field]) => !field.isDefault()).map(([name]) => name);
  restore.addEventListener("click", async () => {
    const names = changed();
    for (const name of names) fields.get(name)?.restore();
    count();
    if (send) await attempt(failed, () => send(Object.fromEntries(names.map((name) => [name, null]))));
  });
  const count = () => {
    const hidden = changed().filter((name) => name !== FIRST).length;
    setText(summary, `${first.childElementCount ? "More options" : "Options"}${hidden ? `, ${hidden} changed` : ""}`);
    restore.hidden = changed().length === 0;
  };
  place.addEventListener("input", count);
  // Unfold the details when a field inside is invalid; the field itself shows the reason.
  place.addEventListener("invalid", (event) => { event.preventDefault(); more.open = true; }, true);

  return {
    /** @param {EngineRow | undefined} row @param {Record<string, OptionValue>} given */
    draw(row, given) {
      const options = optionsOf(row);
      fields.clear();
      /** @param {Option} option */
      const key = ([name, schema]) => `${row?.name} ${name} ${JSON.stringify(schema)}`;
      /** @param {Option} option */
      const make = (option) => makeField(option, prefix, send);
      /** @param {Field} field @param {Option} option */
      const update = (field, [name]) => {
        fields.set(name, field);
        if (send) field.show(given[name]);
      };
      updateList(first, options.filter(([name]) => name === FIRST), key, make, update);
      updateList(others, options.filter(([name]) => name !== FIRST), key, make, update);
      place.hidden = options.length === 0;
      more.hidden = others.childElementCount === 0;
      count();
    },
    /** The values that differ from the default. @returns {Record<string, OptionValue>} */
    values: () => Object.fromEntries(changed().map((name) => [name, /** @type {Field} */ (fields.get(name)).value()])),
  };
}

/** @param {Option} option @param {string} prefix @param {((changes: OptionChanges) => Promise<unknown>) | null} send */
function makeField([name, schema], prefix, send) {
  const id = `${prefix}-${name}`, control = makeControl(schema);
  const help = element("p", { class: "detail", id: `${id}-help` }, helpOf(schema));
  const wrong = element("p", { class: "bad", id: `${id}-wrong`, role: "alert" });
  setAttribute(control, "id", id);
  setAttribute(control, "aria-describedby", `${help.id} ${wrong.id}`);
  const title = element("label", { for: id }, schema.title ?? name);
  const box = isCheck(control);
  if (box) setAttribute(title, "class", "check");
  const root = element("div", { class: box ? "option check" : "option" }, ...(box ? [control, title] : [title, control]), help, wrong);
  if (name === FIRST && prefix === "option") setAttribute(control, "title", "Q");
  let timer = 0, typing = false, sending = false; // typing, sending: the field's value is not in the scene yet
  /** @param {string} why */
  const refuse = (why) => {
    setText(wrong, why);
    control.setCustomValidity(why);
    setAttribute(control, "aria-invalid", String(Boolean(why)));
    return why;
  };
  const value = () => valueIn(control, schema);
  const isDefault = () => value() === schema.default;
  control.addEventListener("input", () => { typing = true; if (wrong.textContent) refuse(whyNot(control, schema)); });
  control.addEventListener("blur", () => { typing = control.validity.customError; });
  control.addEventListener("change", () => {
    clearTimeout(timer);
    if (refuse(whyNot(control, schema)) || !send) return;
    typing = false;
    sending = true;
    timer = setTimeout(async () => {
      try {
        await send({ [name]: isDefault() ? null : value() });
      } catch (error) {
        setText(wrong, messageOf(error));
      }
      sending = false;
    }, control instanceof HTMLSelectElement ? SETTLED_MS : 0);
  });
  const field = {
    root, value, isDefault,
    restore() {
      put(control, schema.default);
      refuse("");
      typing = false;
    },
    /** Show the scene's value, unless the operator is typing. @param {OptionValue | undefined} given */
    show(given) {
      if (!typing && !sending) put(control, given ?? schema.default);
    },
  };
  field.restore();
  return field;
}

/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Control */

/** @param {OptionSchema} schema @returns {Control} */
function makeControl(schema) {
  if (schema.enum) return element("select", {}, ...schema.enum.map((value) => element("option", { value }, titleOf(schema, value))));
  if (schema.type === "boolean") return element("input", { type: "checkbox" });
  if (schema.type === "string") {
    return (schema.maxLength ?? Infinity) > LINE_CHARACTERS ? element("textarea", { rows: "3" }) : element("input", { autocomplete: "off" });
  }
  const { minimum, maximum } = schema, step = schema.type === "integer" ? "1" : "any";
  const control = element("input", { type: "number", step, placeholder: String(schema.default) });
  if (minimum !== undefined) setAttribute(control, "min", String(minimum));
  if (maximum !== undefined) setAttribute(control, "max", String(maximum));
  return control;
}

/** @param {OptionSchema} schema @param {string} value */
const titleOf = (schema, value) => `${schema.titles?.[value] ?? value}${value === schema.default ? " (default)" : ""}`;

/** The option's description, and its default if the choices do not show it. @param {OptionSchema} schema */
function helpOf(schema) {
  const { description = "", default: value } = schema;
  if (schema.enum) return description;
  const shown = typeof value === "boolean" ? (value ? "on" : "off") : value === "" ? "empty" : value;
  return `${description}${description ? "; " : ""}default ${shown}`;
}

/** @param {Control} control @returns {control is HTMLInputElement} */
const isCheck = (control) => control instanceof HTMLInputElement && control.type === "checkbox";

/** @param {Control} control @param {OptionValue} value */
function put(control, value) {
  if (isCheck(control)) control.checked = value === true;
  else if (control.value !== String(value)) control.value = String(value);
}

/** The field's value; an empty number means the default. @param {Control} control @param {OptionSchema} schema @returns {OptionValue} */
function valueIn(control, schema) {
  if (isCheck(control)) return control.checked;
  if (schema.type === "string") return control.value;
  return control.value === "" ? schema.default : Number(control.value);
}

/** Why the field's value is not valid for this option, "" if it is valid. @param {Control} control @param {OptionSchema} schema */
function whyNot(control, schema) {
  const value = valueIn(control, schema);
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, minLength = 0, maxLength = Infinity, pattern } = schema;
  if (control.validity.badInput) return "Enter a number.";
  if (typeof value === "number") {
    if (schema.type === "integer" && !Number.isInteger(value)) return "Enter a whole number.";
    if (minimum !== undefined && value < minimum) return `At least ${minimum}.`;
    if (maximum !== undefined && value > maximum) return `At most ${maximum}.`;
    if (exclusiveMinimum !== undefined && value <= exclusiveMinimum) return `More than ${exclusiveMinimum}.`;
    if (exclusiveMaximum !== undefined && value >= exclusiveMaximum) return `Less than ${exclusiveMaximum}.`;
  } else if (typeof value === "string") {
    const length = [...value].length;
    if (length > maxLength) return `At most ${maxLength} characters; you have entered ${length}.`;
    if (length < minLength) return `At least ${minLength} ${minLength > 1 ? "characters" : "character"}.`;
    if (pattern !== undefined && !new RegExp(pattern, "u").test(value)) return `Must match ${pattern}`;
  }
  return "";
}
