// The controls below the program, the same for LiveKit and for links: state, sound, full screen.

import { byId, isField, setAttribute, setText } from "../lib/elements.js";
import { CaptionLine } from "../preview/captions.js";

const soundButton = byId("sound", HTMLButtonElement);
const volume = byId("volume", HTMLInputElement);
const captionsButton = byId("captions", HTMLButtonElement);
const talkButton = byId("talk-open", HTMLButtonElement);
const fullScreenButton = byId("full-screen", HTMLButtonElement);

/** The caption line below the program and its button. */
export const captionLine = new CaptionLine(byId("caption"), captionsButton);

/** @param {"live" | "wait" | "bad"} kind bad: watching has ended, and the sentence replaces the program @param {string} sentence */
export function showState(kind, sentence) {
  if (kind === "bad") {
    setText(byId("poster"), sentence);
    byId("poster").hidden = false;
    captionLine.end();
  }
  setAttribute(byId("state"), "data-kind", kind);
  setText(byId("state"), sentence);
}

/** @param {string} line */
export function showFigures(line) {
  setText(byId("figures"), line);
}

/** Show the program's element, or hide it while there is no program. @param {HTMLElement} program @param {boolean} there */
export function showProgram(program, there) {
  program.hidden = !there;
  byId("poster").hidden = there;
}

/** @param {boolean} there whether there is any sound @param {boolean} on */
export function drawSound(there, on) {
  soundButton.hidden = !there;
  volume.hidden = !there || !on;
  setAttribute(soundButton, "aria-pressed", String(on));
  setText(soundButton, on ? "Turn sound off" : "Turn sound on");
}

/** @param {() => void} toggle @param {(loudness: number) => void} setVolume 0 to 1 */
export function listenToControls(toggle, setVolume) {
  soundButton.addEventListener("click", toggle);
  volume.addEventListener("input", () => setVolume(volume.valueAsNumber / 100));
  fullScreenButton.hidden = !document.fullscreenEnabled;
  fullScreenButton.addEventListener("click", toggleFullScreen);
  document.addEventListener("fullscreenchange", () => {
    const on = document.fullscreenElement !== null;
    setAttribute(fullScreenButton, "aria-pressed", String(on));
    setText(fullScreenButton, on ? "Exit full screen" : "Full screen");
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || isField(event.target)) return;
    const key = event.key.toLowerCase();
    if (key === "m" && !soundButton.hidden) toggle();
    if (key === "c" && !captionsButton.hidden) captionsButton.click();
    if (key === "d" && !talkButton.hidden) talkButton.click();
    if (key === "f" && !fullScreenButton.hidden) toggleFullScreen();
  });
}

function toggleFullScreen() {
  const change = document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen();
  change.catch(() => {});
}
