// Watching a LiveKit room: video and sound are in one element, so that the browser keeps them in sync.

import { addressOf } from "../lib/address.js";
import { byId } from "../lib/elements.js";
import { captionLine, drawSound, listenToControls, showFigures, showProgram, showState } from "./controls.js";

/** The LiveKit client library, untyped because it is downloaded at installation. @typedef {any} LiveKitClient */

const LIBRARY = addressOf("/watch/assets/livekit-client.mjs");
const RETRY_MS = 3000;
const FIGURES_PERIOD_MS = 1000;
const TRANSCRIPTION = "lk.transcription";

const video = byId("program", HTMLVideoElement);
const stream = new MediaStream();

/** @param {string} token @returns {number} milliseconds since 1970 at which it expires; NaN for no token */
function expiry(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))).exp * 1000;
  } catch {
    return NaN;
  }
}

function toggleSound() {
  video.muted = !video.muted;
  drawTracks();
  video.play().catch(() => {});
}

function drawTracks() {
  drawSound(stream.getAudioTracks().length > 0, !video.muted);
  showProgram(video, stream.getVideoTracks().length > 0);
}

/** Show a track; it replaces the previous one of its kind. @param {MediaStreamTrack} track */
function show(track) {
  for (const old of stream.getTracks()) if (old.kind === track.kind) stream.removeTrack(old);
  stream.addTrack(track);
  if (!video.srcObject) video.srcObject = stream;
  drawTracks();
  video.play().catch(() => {});
}

/** @param {MediaStreamTrack} track */
function hide(track) {
  stream.removeTrack(track);
  if (!stream.getTracks().length) video.srcObject = null; // with an empty stream the page would never finish loading
  drawTracks();
}

/** Show or end a caption. It arrives in sync with its sound, so it needs no times. @param {any} reader of LiveKit's library */
async function hear(reader) {
  const said = reader.info.attributes ?? {}, text = await reader.readAll(), over = said["lk.transcription_final"] === "true";
  const id = String(said["lk.segment_id"]);
  captionLine.receive({ id, text, start: 0, end: over ? 0 : null, state: over ? "ended" : "started" });
}

/** Join the room and stay until it ends. @param {LiveKitClient} livekit @param {string} url @param {string} token */
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
  // The first event is for resuming a connection, the second for a new connection, which may follow up to 15 seconds later.
  for (const lost of [RoomEvent.SignalReconnecting, RoomEvent.Reconnecting]) {
    room.on(lost, () => showState("wait", "Connection lost, reconnecting…"));
  }
  room.on(RoomEvent.Reconnected, draw);
  room.registerTextStreamHandler(TRANSCRIPTION, (/** @type {any} */ reader) => { hear(reader).catch(() => {}); });
  captionLine.clear();
  await room.connect(url, token);
  draw();
  const timer = setInterval(() => drawFigures(room, livekit), FIGURES_PERIOD_MS);
  await ended;
  clearInterval(timer);
  showFigures("");
}

let last = { bytes: 0, at: 0 };

/** Show size, frame rate and bit rate of the received video. @param {any} room of LiveKit's library @param {LiveKitClient} livekit */
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
  showFigures(
    `${frameWidth ?? "–"}×${frameHeight ?? "–"} · ${framesPerSecond ?? 0} fps · ${kbps.toFixed(0)} kbit/s${lost}`);
}

/** @param {string} token of the room */
export async function watchLiveKit(token) {
  listenToControls(toggleSound, (loudness) => { video.volume = loudness; });
  const url = document.querySelector('meta[name="livekit-url"]')?.getAttribute("content");
  if (!token) return showState("bad", "This link is incomplete. Ask for a new one.");
  if (!url) return showState("bad", "This channel is not published. Ask its operator to publish it.");
  const until = expiry(token);
  if (Number.isNaN(until)) return showState("bad", "This link is incomplete. Ask for a new one.");
  /** @type {LiveKitClient} */
  let livekit;
  try {
    livekit = await import(LIBRARY);
  } catch {
    return showState("bad", "The LiveKit player is missing on the studio's machine. Run deploy/livekit.sh there to install it.");
  }
  livekit.setLogLevel("silent");
  while (Date.now() < until) {
    try {
      await watch(livekit, url, token);
    } catch {
      // The server cannot be reached or refuses; the sentence below is all that helps a viewer.
    }
    for (const track of stream.getTracks()) hide(track);
    if (Date.now() < until) showState("wait", "Cannot reach the program, trying again…");
    await new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
  }
  showState("bad", "This link has expired. Ask for a new one.");
}
