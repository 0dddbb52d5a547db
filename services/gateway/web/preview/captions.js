// Captions: the line that is heard with the shown frame, displayed below the program, and the button to switch captions.

import { setAttribute, setText } from "../lib/elements.js";

/** @typedef {import("../lib/api_types.js").Caption} Caption */

const KEPT = 8;

export class CaptionLine {
  /** Line and button are hidden until the first caption. @param {HTMLElement} line @param {HTMLButtonElement} button */
  constructor(line, button) {
    this.line = line;
    this.button = button;
    this.on = true;
    this.pts = 0;
    /** The newest version of each caption, oldest caption first. @type {Caption[]} */
    this.captions = [];
    button.addEventListener("click", () => {
      this.on = !this.on;
      this.draw();
    });
  }

  /** Store a new or changed caption. @param {Caption} caption */
  receive(caption) {
    this.captions = [...this.captions.filter((each) => each.id !== caption.id), caption].slice(-KEPT);
    this.button.hidden = false;
    this.draw();
  }

  /** Show the caption for the frame that is shown now. @param {number} pts microseconds */
  show(pts) {
    this.pts = pts;
    this.draw();
  }

  /** Remove all captions, because a new connection begins. */
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
