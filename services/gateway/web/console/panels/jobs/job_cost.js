// The estimated cost of a new job, shown below the form and requested again when the form changes.

import { messageOf, setText } from "../../../lib/elements.js";

const REST_MS = 500;  // time without a change before the cost is requested

/**
 * @param {import("../../../lib/api.js").Api} api @param {HTMLElement} place
 * @param {() => FormData | null} contents the form's fields; null: request no estimate
 * @returns {() => void} call it when the form changes
 */
export function jobCost(api, place, contents) {
  let newest = 0;
  return () => {
    const mine = ++newest;
    setText(place, "");
    setTimeout(async () => {
      const said = mine === newest ? await wordsOf(api, contents()) : "";
      if (mine === newest) setText(place, said);
    }, REST_MS);
  };
}

/** The cost, or why the job cannot be done. @param {import("../../../lib/api.js").Api} api @param {FormData | null} body */
async function wordsOf(api, body) {
  try {
    const file = body?.get("driver");
    if (body && file instanceof File) {
      body.delete("driver");
      const seconds = await secondsOf(file);
      if (seconds) body.append("seconds", String(seconds));
    }
    if (body?.has("text")) return ""; // the length of the speech is unknown until a voice has spoken the text
    if (!body?.has("seconds") && !body?.has("inbox")) return "";
    /** @type {import("../../../lib/api_types.js").JobCostAnswer} */
    const cost = await (await api.ask("POST", "/jobs/cost", body)).json();
    return cost.lines.join("\n");
  } catch (error) {
    return messageOf(error);
  }
}

/** Length of a sound file in seconds, 0 if the browser cannot tell. @param {File} file @returns {Promise<number>} */
function secondsOf(file) {
  const sound = document.createElement("audio"), url = URL.createObjectURL(file);
  return new Promise((resolve) => {
    /** @param {number} seconds */
    const end = (seconds) => { URL.revokeObjectURL(url); resolve(Number.isFinite(seconds) ? seconds : 0); };
    sound.addEventListener("loadedmetadata", () => end(sound.duration));
    sound.addEventListener("error", () => end(0));
    sound.preload = "metadata";
    sound.src = url;
  });
}
