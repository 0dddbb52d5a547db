// The camera and microphone of this browser: opening and watching them, with a sentence for each failure.

/** @typedef {"camera" | "microphone"} Device */

/** Constraints for a microphone that a person speaks into. */
export const SPEAKING = { echoCancellation: true, noiseSuppression: true, channelCount: 1 };

/** Open devices. Rejects with a sentence about the requested device.
 * @param {MediaStreamConstraints} wanted @param {Device} device @returns {Promise<MediaStream>} */
export async function openDevices(wanted, device) {
  if (!navigator.mediaDevices) throw new Error("Browsers allow the camera and microphone only on localhost or HTTPS. Open this page over HTTPS or on localhost.");
  try {
    return await navigator.mediaDevices.getUserMedia(wanted);
  } catch (error) {
    const name = error instanceof Error ? error.name : "";
    if (name === "NotFoundError" && wanted.video && wanted.audio) return openDevices({ video: wanted.video }, device);
    throw new Error(name === "NotAllowedError" ? `This page has no permission to use the ${device}. Allow it in the address bar and try again.`
      : name === "NotFoundError" ? `The browser found no ${device}. Connect one and try again.`
      : `The browser cannot open a ${device} (${name}).`);
  }
}

/** Call `notice` when a device is unplugged, taken by another program, or switched off or on.
 * @param {MediaStream} stream @param {() => void} notice */
export function watchDevices(stream, notice) {
  for (const track of stream.getTracks()) {
    for (const kind of ["ended", "mute", "unmute"]) track.addEventListener(kind, notice);
  }
}

/** Why a device delivers nothing now, "" while it delivers.
 * @param {MediaStreamTrack | undefined} track @param {Device} device @returns {string} */
export function whySilent(track, device) {
  if (track?.readyState !== "live") return `The ${device} was unplugged, or its permission was withdrawn.`;
  return track.muted ? `The ${device} is sending nothing. Another program or its own switch may have turned it off.` : "";
}

/** @param {MediaStream | null} stream */
export function closeDevices(stream) {
  stream?.getTracks().forEach((track) => track.stop());
}
