// The program's canvas: draws frames in the order of ticks, either full frames, or plate, label and box.

import { Plate } from "./plate.js";
import { BLOCK, LABEL, ROI, blockBytes, decode } from "./preview_format.js";

/** @typedef {import("./preview_format.js").Message} Message */

const WINDOW_MS = 60_000; // age up to which latencies are kept

export class Stage {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("../lib/clock.js").Clock} clock
   * @param {import("./sound.js").ProgramSound} sound
   */
  constructor(canvas, clock, sound) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
    this.clock = clock;
    this.sound = sound;
    /** @type {Plate | null} */
    this.plate = null;
    this.plateNumber = -1;
    /** @type {{x: number, y: number, bitmap: Promise<ImageBitmap>} | null} */
    this.label = null;
    /** What is drawn below the last box: plate and label, and the box's position.
     * @type {{plate: ImageBitmap, patch: ImageBitmap | undefined, x: number, y: number, w: number, h: number} | null} */
    this.under = null;
    this.tick = -1;
    this.number = -1;
    this.captured = 0;
    this.frames = 0;
    /** @type {{at: number, ms: number}[]} */
    this.latencies = [];
    /** Called with the time of each frame that is drawn. @type {(pts: number) => void} */
    this.onDrawn = () => {};
  }

  /** Begin a new avatar: discard the plate and label of the previous one. @param {number} number */
  begin(number) {
    this.number = number;
    this.tick = -1;
    this.under = null;
    this.label = null;
    if (number !== this.plateNumber) {
      this.plate?.close();
      this.plate = null;
    }
  }

  /** @param {Plate} plate @param {number} number */
  usePlate(plate, number) {
    this.plate = plate;
    this.plateNumber = number;
  }

  /** Decode and draw one frame or label message.
   * @param {Message} message
   * @param {() => void} decoded called once another frame can be accepted */
  async show(message, decoded) {
    if (message.kind === LABEL) {
      const bitmap = message.w ? decode(message.payload) : null;
      this.label = bitmap && { x: message.x, y: message.y, bitmap };
      return;
    }
    const roi = message.kind === ROI;
    if (roi && (!this.plate || message.number !== this.plateNumber)) return;
    const label = this.label;
    const [image, plate, patch] = await Promise.all([
      message.w ? decode(roi ? message.payload.subarray(blockBytes(message)) : message.payload) : null,
      roi && this.plate ? this.plate.frame(message.plate) : null,
      roi && label ? label.bitmap : null,
    ]);
    decoded();
    await this.sound.waitFor(message.pts);
    if (message.number !== this.number || message.tick <= this.tick) return;
    this.tick = message.tick;
    // A full frame may arrive at half its size, because this page shows it smaller than that.
    if (roi) this.resize(message.width, message.height);
    else if (image) this.resize(image.width, image.height);
    if (plate) this.drawPlate(plate, message, label && patch && { x: label.x, y: label.y, patch });
    else this.under = null;
    if (image && roi) this.drawBlocks(image, message);
    else if (image) this.context.drawImage(image, 0, 0);
    image?.close();
    this.frames += 1;
    this.onDrawn(message.pts);
    this.measure(message.captured);
  }

  /** Draw the plate and its label. If both are drawn already, only the last box is painted over, because a browser
   * without a GPU needs milliseconds for a whole frame.
   * @param {ImageBitmap} plate @param {Message} message @param {{x: number, y: number, patch: ImageBitmap} | null} label */
  drawPlate(plate, message, label) {
    const under = this.under;
    if (under?.plate === plate && under.patch === label?.patch) {
      const { x, y, w, h } = under;
      if (w) this.context.drawImage(plate, x, y, w, h, x, y, w, h);
      const overlaps = label && w && label.x < x + w && x < label.x + label.patch.width && label.y < y + h && y < label.y + label.patch.height;
      if (overlaps) this.context.drawImage(label.patch, label.x, label.y);
    } else {
      this.context.drawImage(plate, 0, 0);
      if (label) this.context.drawImage(label.patch, label.x, label.y);
    }
    this.under = { plate, patch: label?.patch, x: message.x, y: message.y, w: message.w, h: message.h };
  }

  /** Draw only the blocks that differ from the plate. @param {ImageBitmap} image @param {Message} message */
  drawBlocks(image, message) {
    const columns = Math.ceil(message.w / BLOCK), rows = Math.ceil(message.h / BLOCK);
    /** @param {number} at */
    const wanted = (at) => (message.payload[at >> 3] >> (at & 7)) & 1;
    this.context.save();
    this.context.beginPath();
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const begin = column;
        while (column < columns && wanted(row * columns + column)) column += 1;
        if (column > begin) {
          this.context.rect(message.x + begin * BLOCK, message.y + row * BLOCK, (column - begin) * BLOCK, BLOCK);
        }
      }
    }
    this.context.clip();
    this.context.drawImage(image, message.x, message.y);
    this.context.restore();
  }

  /** @param {number} width @param {number} height */
  resize(width, height) {
    if (this.canvas.width === width && this.canvas.height === height) return;
    this.under = null;
    this.canvas.width = width;
    this.canvas.height = height;
  }

  /** Add a latency: from the capture of the driver frame until now, when its result was drawn.
   * @param {number} captured microseconds, 0 for none */
  measure(captured) {
    if (!captured || captured === this.captured || !this.clock.known) return;
    this.captured = captured;
    const at = performance.now();
    this.latencies.push({ at, ms: (this.clock.now() - captured) / 1000 });
  }

  /** Latencies of the last minute. @returns {import("../lib/globals.js").LatencyFigures | null} */
  latency() {
    while (this.latencies.length && this.latencies[0].at < performance.now() - WINDOW_MS) this.latencies.shift();
    if (!this.latencies.length) return null;
    const sorted = this.latencies.map((sample) => sample.ms).sort((a, b) => a - b);
    /** @param {number} share */
    const rank = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
    return { median: rank(0.5), p95: rank(0.95), count: sorted.length };
  }
}
