// Frames of a video as JPEG at a steady rate. Timer and encoder run in a worker, because browsers throttle hidden pages.

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

  /** Encode one frame; null if it cannot be encoded. The promise never settles if the encoder is closed in the meantime.
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
