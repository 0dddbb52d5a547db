// Captions: the line that is heard with the frame that is shown, below it, and the switch for it.

import { setAttribute, setText } from "../lib/elements.js";

/** @typedef {import("../lib/api_types.js").Caption} Caption */

const KEPT = 8;

export class CaptionLine {
  /** Both are hidden until a caption comes. @param {HTMLElement} line @param {HTMLButtonElement} button */
  constructor(line, button) {
    this.line = line;
    this.button = button;
    this.on = true;
    this.pts = 0;
    /** The newest of each, oldest first. @type {Caption[]} */
    this.captions = [];
    button.addEventListener("click", () => {
      this.on = !this.on;
      this.draw();
    });
  }

  /** One that has begun or changed. @param {Caption} caption */
  receive(caption) {
    this.captions = [...this.captions.filter((each) => each.id !== caption.id), caption].slice(-KEPT);
    this.button.hidden = false;
    this.draw();
  }

  /** The frame of this time is shown now. @param {number} pts microseconds */
  show(pts) {
    this.pts = pts;
    this.draw();
  }

  /** Another connection: what was heard on the last is over. */
  clear() {
    this.captions = [];
    this.draw();
  }

  /** The program has ended. */
  end() {
    this.button.hidden = true;
    this.clear();
  }

  draw() {
    const heard = this.captions.filter(({ start, end }) => start <= this.pts && (end === null || this.pts < end));
    this.line.hidden = this.button.hidden || !this.on;
    const text = heard.at(-1)?.text ?? "";
    if (this.line.textContent !== text) this.line.scrollTop = 0;
    setText(this.line, text);
    setAttribute(this.button, "aria-pressed", String(this.on));
    setText(this.button, this.on ? "Captions on" : "Captions off");
  }
}
