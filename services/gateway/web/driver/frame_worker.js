// Worker that signals when the next frame is due, and encodes frames.

const JPEG_QUALITY = 0.8;
const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { alpha: false });

/** @param {ImageBitmap} bitmap @returns {Promise<Blob>} */
function encoded(bitmap) {
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
  }
  context?.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY });
}

addEventListener("message", ({ data }) => {
  if (data.bitmap) encoded(data.bitmap).then((jpeg) => postMessage({ jpeg }), () => postMessage({ jpeg: null }));
  else setInterval(() => postMessage({ due: true }), data.period);
});
