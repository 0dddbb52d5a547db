// An avatar's plate in the page: fetched once, with frames decoded when they are shown.

const DECODED_BYTES = 96 << 20;

export class Plate {
  /** @param {ArrayBuffer} bytes @param {import("../lib/api_types.js").PlateIndex} index */
  constructor(bytes, index) {
    this.bytes = bytes;
    this.starts = index.starts;
    this.count = index.starts.length - 1;
    this.room = Math.max(4, Math.floor(DECODED_BYTES / (index.width * index.height * 4)));
    /** @type {Map<number, Promise<ImageBitmap>>} */
    this.decoded = new Map();
  }

  /** @param {import("../lib/api.js").Api} api @param {string} path of the plate, as for `Api.ask` @returns {Promise<Plate>} */
  static async fetch(api, path) {
    /** @type {import("../lib/api_types.js").PlateIndex} */
    const index = await (await api.ask("GET", `${path}/index`)).json();
    return new Plate(await (await api.ask("GET", path)).arrayBuffer(), index);
  }

  /** The decoded frame with this index. @param {number} index @returns {Promise<ImageBitmap>} */
  frame(index) {
    let found = this.decoded.get(index);
    if (found) {
      this.decoded.delete(index); // and insert it again as the most recently used
    } else {
      const jpeg = new Uint8Array(this.bytes, this.starts[index], this.starts[index + 1] - this.starts[index]);
      found = createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    }
    this.decoded.set(index, found);
    const [oldest] = this.decoded.keys();
    if (this.decoded.size > this.room) this.forget(oldest);
    return found;
  }

  /** @param {number} index */
  forget(index) {
    this.decoded.get(index)?.then((bitmap) => bitmap.close(), () => {});
    this.decoded.delete(index);
  }

  close() {
    for (const index of [...this.decoded.keys()]) this.forget(index);
  }
}
