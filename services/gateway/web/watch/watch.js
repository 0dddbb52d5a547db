// The viewers' page: one room, its video and sound in one element so that the browser keeps them together.

import { addressOf } from "../lib/address.js";
import { byId, setAttribute, setText } from "../lib/elements.js";

/** The viewers' library, which has no types here: it is got at installation. @typedef {any} LiveKitClient */

const LIBRARY = addressOf("/watch/assets/livekit-client.mjs");
const RETRY_MS = 3000;
const FIGURES_PERIOD_MS = 1000;

const video = byId("program", HTMLVideoElement);
const stream = new MediaStream();
const soundButton = byId("sound");

/** @param {"live" | "wait" | "bad"} kind @param {string} sentence */
function showState(kind, sentence) {
  setAttribute(byId("state"), "data-kind", kind);
  setText(byId("state"), sentence);
}

/** @param {string} token @returns {number} milliseconds since 1970 at which it opens no room any more; NaN for no token */
function expiry(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))).exp * 1000;
  } catch {
    return NaN;
  }
}

soundButton.addEventListener("click", () => {
  video.muted = !video.muted;
  drawSound();
  video.play().catch(() => {});
});

function drawSound() {
  soundButton.hidden = stream.getAudioTracks().length === 0;
  setAttribute(soundButton, "aria-pressed", String(!video.muted));
  setText(soundButton, video.muted ? "Turn sound on" : "Turn sound off");
}

/** Show a track in the place of the last of its kind. @param {MediaStreamTrack} track */
function show(track) {
  for (const old of stream.getTracks()) if (old.kind === track.kind) stream.removeTrack(old);
  stream.addTrack(track);
  if (!video.srcObject) video.srcObject = stream;
  drawSound();
  video.play().catch(() => {});
}

/** @param {MediaStreamTrack} track */
function hide(track) {
  stream.removeTrack(track);
  if (!stream.getTracks().length) video.srcObject = null; // a page with an empty stream never stops loading
  drawSound();
}

/** Join, and stay for as long as the room lasts. @param {LiveKitClient} livekit @param {string} url @param {string} token */
async function watch(livekit, url, token) {
  const room = new livekit.Room({ adaptiveStream: false, disconnectOnPageLeave: true });
  const { RoomEvent } = livekit;
  const ended = new Promise((resolve) => { room.once(RoomEvent.Disconnected, resolve); });
  const draw = () => {
    if (stream.getVideoTracks().length) showState("live", "Live");
    else showState("wait", "Waiting for the program…");
  };
  room.on(RoomEvent.TrackSubscribed, (/** @type {any} */ track) => { show(track.mediaStreamTrack); draw(); });
  room.on(RoomEvent.TrackUnsubscribed, (/** @type {any} */ track) => { hide(track.mediaStreamTrack); draw(); });
  // The first is of a connection that is taken up again, the second of one that is made from nothing, up to a quarter of a minute later.
  for (const lost of [RoomEvent.SignalReconnecting, RoomEvent.Reconnecting]) {
    room.on(lost, () => showState("wait", "The connection was lost; reconnecting…"));
  }
  room.on(RoomEvent.Reconnected, draw);
  await room.connect(url, token);
  draw();
  const timer = setInterval(() => drawFigures(room, livekit), FIGURES_PERIOD_MS);
  await ended;
  clearInterval(timer);
  setText(byId("figures"), "");
}

let last = { bytes: 0, at: 0 };

/** Size, rate and bit rate as received. @param {any} room of LiveKit's library @param {LiveKitClient} livekit */
async function drawFigures(room, livekit) {
  const publication = [...room.remoteParticipants.values()]
    .map((/** @type {any} */ participant) => participant.getTrackPublication(livekit.Track.Source.Camera))
    .find((/** @type {any} */ found) => found?.track);
  const report = await publication?.track.getRTCStatsReport();
  const rows = [...(report?.values() ?? [])].filter((row) => row.type === "inbound-rtp" && row.kind === "video");
  if (!rows.length) return;
  const { frameWidth, frameHeight, framesPerSecond, bytesReceived, packetsLost, timestamp } = rows[0];
  const kbps = last.at && bytesReceived >= last.bytes ? (bytesReceived - last.bytes) * 8 / (timestamp - last.at) : 0;
  last = { bytes: bytesReceived, at: timestamp };
  const lost = packetsLost > 0 ? ` · ${packetsLost} packets lost` : "";
  setText(byId("figures"),
    `${frameWidth ?? "–"}×${frameHeight ?? "–"} · ${framesPerSecond ?? 0} fps · ${kbps.toFixed(0)} kbit/s${lost}`);
}

async function start() {
  const url = document.querySelector('meta[name="livekit-url"]')?.getAttribute("content");
  const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  if (!url) return showState("bad", "This channel is not published; ask its operator.");
  const until = expiry(token);
  if (Number.isNaN(until)) return showState("bad", "This link is not complete; ask for a new one.");
  /** @type {LiveKitClient} */
  let livekit;
  try {
    livekit = await import(LIBRARY);
  } catch {
    return showState("bad", "The viewers' library is missing on the studio's machine; running deploy/livekit.sh there gets it.");
  }
  livekit.setLogLevel("silent");
  while (Date.now() < until) {
    try {
      await watch(livekit, url, token);
    } catch {
      // The server is away or refuses; the sentence below is all a viewer can use.
    }
    for (const track of stream.getTracks()) hide(track);
    if (Date.now() < until) showState("wait", "The program cannot be reached; trying again…");
    await new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
  }
  showState("bad", "This link has expired; ask for a new one.");
}

start();
addEventListener("hashchange", () => location.reload());
