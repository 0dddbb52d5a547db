// Frames of a video as JPEG at a steady rate. Timer and encoder are a worker's: browsers slow down those of a page that is not looked at.

import { addressOf } from "../lib/address.js";

export class FrameEncoder {
  /** @param {number} rate ticks a second @param {() => void} tick */
  constructor(rate, tick) {
    this.worker = new Worker(addressOf("/web/driver/frame_worker.js"));
    /** @type {((jpeg: Blob | null) => void) | null} */
    this.encoded = null;
    this.worker.addEventListener("message", ({ data }) => {
      if (data.due) tick();
      else this.encoded?.(data.jpeg);
    });
    this.worker.postMessage({ period: 1000 / rate });
  }

  /** One frame, null for one that cannot be encoded; never answered when the encoder is closed meanwhile.
   * @param {HTMLVideoElement} video @param {number} width @param {number} height @returns {Promise<Blob | null>} */
  async encode(video, width, height) {
    const bitmap = await createImageBitmap(video, { resizeWidth: width, resizeHeight: height });
    return new Promise((resolve) => {
      this.encoded = resolve;
      this.worker.postMessage({ bitmap }, [bitmap]);
    });
  }

  close() {
    this.worker.terminate();
  }
}
