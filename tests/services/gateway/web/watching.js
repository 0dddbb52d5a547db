// Runs inside the viewers' page; returns when the video turned bright and when the tone began, on this page's clock.
/** @param {number} seconds */
async (seconds) => {
  const video = /** @type {HTMLVideoElement} */ (document.querySelector("video"));
  const context = new AudioContext();
  await context.resume();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(/** @type {MediaStream} */ (video.srcObject)).connect(analyser);
  const small = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(64, 36).getContext("2d", { willReadFrequently: true }));
  /** @type {{flashes: number[], beeps: number[], hertz: number[], frames: number, columns: number[], sizes: string[]}} */
  const found = { flashes: [], beeps: [], hertz: [], frames: 0, columns: [], sizes: [] };
  /** @type {boolean | null} */
  let bright = null;
  let watching = true;
  let loudUntil = 0;
  const wave = new Float32Array(analyser.fftSize);
  const bins = new Float32Array(analyser.frequencyBinCount);
  const listening = setInterval(() => {
    analyser.getFloatTimeDomainData(wave);
    const now = performance.now();
    const first = wave.findIndex((value) => Math.abs(value) > 0.05);
    if (first < 0) return;
    if (now - loudUntil > 150) found.beeps.push(now - (wave.length - first) / context.sampleRate * 1000);
    loudUntil = now;
    analyser.getFloatFrequencyData(bins);
    found.hertz.push(bins.indexOf(Math.max(...bins)) * context.sampleRate / analyser.fftSize);
  }, 4);
  /** @type {VideoFrameRequestCallback} */
  const readFrame = (_, { expectedDisplayTime, width, height }) => {
    small.drawImage(video, 0, 0, 64, 36);
    const luma = small.getImageData(0, 0, 64, 36).data.filter((_, index) => index % 4 === 1);
    const mean = luma.reduce((sum, value) => sum + value, 0) / luma.length;
    if (mean > 140 && bright === false) found.flashes.push(expectedDisplayTime);
    bright = mean > 140;
    const row = [...luma.slice(64 * 34, 64 * 35)];
    if (!bright) found.columns.push(row.indexOf(Math.max(...row)));
    found.frames += 1;
    found.sizes.push(`${width}x${height}`);
    if (watching) video.requestVideoFrameCallback(readFrame);
  };
  video.requestVideoFrameCallback(readFrame);
  await new Promise((resolve) => { setTimeout(resolve, seconds * 1000); });
  watching = false;
  clearInterval(listening);
  await context.close();
  return found;
}
