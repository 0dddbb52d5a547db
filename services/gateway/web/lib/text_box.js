// A box whose text is sent by Enter or its button: one after the other, and a text that was refused comes back to be corrected.

import { attempt } from "./elements.js";

/**
 * @param {HTMLFormElement} form @param {HTMLTextAreaElement} box @param {Element} failed where an error is shown
 * @param {(text: string) => Promise<unknown>} send rejects with an Error whose message is for people
 */
export function sendOnEnter(form, box, failed, send) {
  let sent = Promise.resolve();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = box.value.trim();
    if (!text) return;
    box.value = "";
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
    form.requestSubmit();
  });
}
