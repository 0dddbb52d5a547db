// Text to say: a box to type in, the voice, and the script below it.

import { attempt, byId, setText } from "../../../lib/elements.js";
import { sendOnEnter } from "../../../lib/text_box.js";
import { offerVoices } from "../../voice_choice.js";
import { script } from "./script.js";

/** @param {import("../../../lib/api.js").Api} api @returns {import("../../../lib/globals.js").Panel} */
export function say(api) {
  const failed = byId("say-error");
  const box = byId("say-text", HTMLTextAreaElement);
  const voice = byId("say-voice", HTMLSelectElement);
  /** Queue a text for speech. @param {string} text @returns {Promise<string>} the utterance's id */
  const send = async (text) => {
    const answer = await api.ask("POST", "./speech", { text, voice: voice.value });
    /** @type {import("../../../lib/api_types.js").UtteranceRow} */
    const row = await answer.json();
    return row.id;
  };
  sendOnEnter(byId("say-form", HTMLFormElement), box, failed, send);
  attempt(failed, async () => setText(byId("say-note"), await offerVoices(api, voice)));
  return script(api, send);
}
