// Keyboard shortcuts, one key per action; "?" shows the list.

import { byId, element, isField } from "../lib/elements.js";

/** Key, description, id of the button that it presses. @type {[string, string, string][]} */
const KEYS = [
  ["a", "go on or off air (asks before going off)", "on-air"],
  ["m", "mute the program", "mute"],
  ["l", "AI label on or off", "label"],
  ["r", "start or stop recording", "record"],
  ["v", "choose a speech file to play", "speak"],
  ["e", "type text to say", "say-text"],
  ["c", "show or hide the script", "script-open"],
  ["d", "talk with the host, or stop", "talk-open"],
  ["g", "play the script, or stop after the current line", "script-play"],
  ["k", "skip to the next script line", "script-skip"],
  ["b", "repeat the script line", "script-repeat"],
  ["i", "interrupt speech", "interrupt"],
  ["t", "start or stop the RTMP stream", "rtmp"],
  ["n", "retake the neutral face", "neutral"],
  ["o", "loop the driver", "loop"],
  ["s", "preview sound on or off", "listen"],
  ["u", "captions on or off", "captions"],
  ["w", "burnt-in captions on or off (recording, RTMP, LiveKit)", "burn-captions"],
  ["q", "choose the engine's quality, if it offers several", "option-quality"],
  ["/", "search avatars by name", "avatar-search"],
  ["j", "switch between jobs and program", "jobs-line"],
];

/** Rows of the list of avatars that the search does not hide. @returns {Element[]} */
const shownAvatars = () => [...byId("avatars").children].filter((row) => row instanceof HTMLElement && !row.hidden);

/** @param {import("../preview/preview.js").Preview} preview */
export function listenToKeys(preview) {
  const panel = byId("keys");
  const list = element("dl", {});
  const rows = [...KEYS, ["p", "preview mode: ROI or full"], ["1 … 9", "choose an avatar by its position in the list"], ["?", "show or hide this list"], ["Esc", "close or cancel"]];
  for (const [key, what] of rows) list.append(element("dt", {}, element("kbd", {}, key.toUpperCase())), element("dd", {}, what));
  panel.append(element("h2", {}, "Keyboard shortcuts"), list);
  /** @param {boolean} on */
  const show = (on) => { panel.hidden = !on; };
  byId("keys-open").addEventListener("click", () => show(Boolean(panel.hidden)));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || isField(event.target)) return;
    const pressed = KEYS.find(([key]) => key === event.key.toLowerCase());
    if (event.key === "?") show(Boolean(panel.hidden));
    else if (event.key === "Escape") { show(false); byId("on-air").blur(); }
    else if (event.key.toLowerCase() === "p") preview.setMode(preview.mode === "roi" ? "full" : "roi");
    else if (/^[1-9]$/.test(event.key)) shownAvatars()[Number(event.key) - 1]?.querySelector("button")?.click();
    else if (pressed) {
      const target = document.getElementById(pressed[2]); // the engine may not have this option
      target?.focus();
      target?.click();
    }
    else return;
    event.preventDefault();
  });
}
