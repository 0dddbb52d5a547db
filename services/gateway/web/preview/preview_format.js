// Parser for the preview's binary format, which services/gateway/preview/encoder.py describes.

export const FULL = 1, ROI = 2, LABEL = 3, SOUND = 4, DRIVER = 5;
/** Side, in pixels, of the blocks that a ROI frame leaves out if they equal the plate. */
export const BLOCK = 16;
const HEADER = 40;

/**
 * A message of the preview socket.
 * @typedef {{kind: number, state: number, number: number, tick: number, plate: number, pts: number, captured: number,
 *   x: number, y: number, w: number, h: number, width: number, height: number, payload: Uint8Array<ArrayBuffer>}} Message
 */

/** @param {ArrayBuffer} buffer @returns {Message} */
export function parse(buffer) {
  const view = new DataView(buffer);
  /** @param {number} at */
  const short = (at) => view.getUint16(at, true);
  return {
    kind: view.getUint8(0),
    state: view.getUint8(1),
    number: short(2),
    tick: view.getUint32(4, true),
    plate: view.getUint32(8, true),
    pts: view.getFloat64(12, true),
    captured: view.getFloat64(20, true),
    x: short(28), y: short(30), w: short(32), h: short(34),
    width: short(36), height: short(38),
    payload: new Uint8Array(buffer, HEADER),
  };
}

/** @param {Uint8Array<ArrayBuffer>} payload @returns {Promise<ImageBitmap>} */
export function decode(payload) {
  return createImageBitmap(new Blob([payload], { type: "image/jpeg" }));
}

/** Number of bytes of the block bits that precede the JPEG of a ROI frame. @param {{w: number, h: number}} message @returns {number} */
export function blockBytes({ w, h }) {
  return Math.ceil((Math.ceil(w / BLOCK) * Math.ceil(h / BLOCK)) / 8);
}
