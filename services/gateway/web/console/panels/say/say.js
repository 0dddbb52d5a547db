// Text to say: a box to type in, the voice, and the script below it.

import { attempt, byId, setText } from "../../../lib/elements.js";
import { offerVoices } from "../../voice_choice.js";
import { script } from "./script.js";

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
  let sent = Promise.resolve();
  byId("say-form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    const text = box.value.trim();
    if (!text) return;
    box.value = "";
    // One after the other, in the order in which they were typed; a text that was refused comes back to be corrected.
    sent = sent.then(() => attempt(failed, async () => {
      try {
        await send(text);
      } catch (error) {
        if (!box.value) box.value = text;
        throw error;
      }
    }));
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return; // an input method's Enter chooses a word
    event.preventDefault();
    byId("say-form", HTMLFormElement).requestSubmit();
  });
  attempt(failed, async () => setText(byId("say-note"), await offerVoices(api, voice)));
  return script(api, send);
}
