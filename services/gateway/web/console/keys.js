// One key per action, the list on "?".

import { byId, element } from "../lib/elements.js";

/** Key, what it does, the button it presses. @type {[string, string, string][]} */
const KEYS = [
  ["a", "go on or off air (off asks once)", "on-air"],
  ["m", "mute the program", "mute"],
  ["l", "AI label on or off", "label"],
  ["r", "start or stop recording", "record"],
  ["v", "choose a speech file to say", "speak"],
  ["e", "type a text to say", "say-text"],
  ["c", "script: lines to say one by one", "script-open"],
  ["g", "play the script, or stop after this line", "script-play"],
  ["k", "skip to the script's next line", "script-skip"],
  ["b", "say the script's line once more", "script-repeat"],
  ["i", "interrupt the speech", "interrupt"],
  ["t", "start or stop the RTMP push", "rtmp"],
  ["n", "retake neutral", "neutral"],
  ["o", "loop the driver", "loop"],
  ["s", "hear the program here", "listen"],
  ["u", "captions below the program, once there are any", "captions"],
  ["q", "quality of the engine, where it has several", "option-quality"],
  ["j", "jobs, or back to the program", "jobs-line"],
];

/** @param {EventTarget | null} target @returns {boolean} whether keys are typed into it */
const isField = (target) => target instanceof Element && target.matches("input, textarea, select");

/** @param {import("../preview/preview.js").Preview} preview */
export function listenToKeys(preview) {
  const panel = byId("keys");
  const list = element("dl", {});
  const rows = [...KEYS, ["p", "preview mode: ROI or full"], ["1 … 9", "avatar by place"], ["?", "this list"], ["Esc", "close, or do not do it"]];
  for (const [key, what] of rows) list.append(element("dt", {}, element("kbd", {}, key.toUpperCase())), element("dd", {}, what));
  panel.append(element("h2", {}, "Keys"), list);
  /** @param {boolean} on */
  const show = (on) => { panel.hidden = !on; };
  byId("keys-open").addEventListener("click", () => show(Boolean(panel.hidden)));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || isField(event.target)) return;
    const pressed = KEYS.find(([key]) => key === event.key.toLowerCase());
    if (event.key === "?") show(Boolean(panel.hidden));
    else if (event.key === "Escape") { show(false); byId("on-air").blur(); }
    else if (event.key.toLowerCase() === "p") preview.setMode(preview.mode === "roi" ? "full" : "roi");
    else if (/^[1-9]$/.test(event.key)) byId("avatars").children[Number(event.key) - 1]?.querySelector("button")?.click();
    else if (pressed) {
      const target = document.getElementById(pressed[2]); // an engine may lack the option
      target?.focus();
      target?.click();
    }
    else return;
    event.preventDefault();
  });
}
