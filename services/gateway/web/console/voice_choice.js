// A select for the voices that are available, shown if there are several.

import { element } from "../lib/elements.js";

const VOICE_KEY = "persona-studio-voice";

/** Fill a select with the voices; hidden if there is no choice. The last chosen voice is stored in the browser.
 * @param {import("../lib/api.js").Api} api @param {HTMLSelectElement} select @returns {Promise<string>} how to get a voice, "" if there is one */
export async function offerVoices(api, select) {
  /** @type {import("../lib/api_types.js").Voices} */
  const { voices, note } = await (await api.ask("GET", "/voices")).json();
  const able = voices.filter((row) => !row.unavailable);
  const kept = localStorage.getItem(VOICE_KEY);
  select.replaceChildren(...able.map((row) => element("option", { value: row.name }, row.title)));
  const first = able.find((row) => row.name === kept) ?? able.find((row) => row.chosen);
  if (first) select.value = first.name;
  select.hidden = able.length < 2;
  select.onchange = () => localStorage.setItem(VOICE_KEY, select.value);
  return note;
}
