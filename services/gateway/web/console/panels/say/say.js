// Text to say: a box to type in, the voice, and the script below it.

import { attempt, byId, element, setText } from "../../../lib/elements.js";
import { sendOnEnter } from "../../../lib/text_box.js";
import { script } from "./script.js";

const VOICE_KEY = "persona-studio-voice";

/** @param {import("../../../lib/api.js").Api} api @returns {import("../../../lib/globals.js").Panel} */
export function say(api) {
  const failed = byId("say-error");
  const box = byId("say-text", HTMLTextAreaElement);
  const voice = byId("say-voice", HTMLSelectElement);
  /** Have a text said. @param {string} text @returns {Promise<string>} the utterance's id */
  const send = async (text) => {
    const answer = await api.ask("POST", "./speech", { text, voice: voice.value });
    /** @type {import("../../../lib/api_types.js").UtteranceRow} */
    const row = await answer.json();
    return row.id;
  };
  sendOnEnter(byId("say-form", HTMLFormElement), box, failed, send);
  voice.addEventListener("change", () => localStorage.setItem(VOICE_KEY, voice.value));
  attempt(failed, () => showVoices(api, voice));
  return script(api, send);
}

/** The voices that can speak, to choose from where there are several; how to get one where there is none.
 * @param {import("../../../lib/api.js").Api} api @param {HTMLSelectElement} voice */
async function showVoices(api, voice) {
  /** @type {import("../../../lib/api_types.js").Voices} */
  const { voices, note } = await (await api.ask("GET", "/voices")).json();
  const able = voices.filter((row) => !row.unavailable);
  const kept = localStorage.getItem(VOICE_KEY);
  voice.replaceChildren(...able.map((row) => element("option", { value: row.name }, row.title)));
  const first = able.find((row) => row.name === kept) ?? able.find((row) => row.chosen);
  if (first) voice.value = first.name;
  voice.hidden = able.length < 2;
  setText(byId("say-note"), note);
}
