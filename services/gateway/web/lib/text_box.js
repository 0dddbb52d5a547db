// A text box that is sent with Enter or its button. Texts are sent one after the other; a refused text is put back for correction.

import { attempt } from "./elements.js";

/**
 * @param {HTMLFormElement} form @param {HTMLTextAreaElement} box @param {Element} failed element that shows an error
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
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return; // Enter in an input method only selects a word
    event.preventDefault();
    form.requestSubmit();
  });
}
