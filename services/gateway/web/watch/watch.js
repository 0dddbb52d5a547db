// The viewers' page: one room, its picture and sound in one element so that the browser keeps them together.

import { byId, mark, write } from "../lib/elements.js";

const LIBRARY = "/watch/assets/livekit-client.mjs";
const AGAIN = 3000;
const FIGURES_PERIOD = 1000;

const picture = byId("picture");
const stream = new MediaStream();
const soundButton = byId("sound");

/** @param {"live" | "wait" | "bad"} kind @param {string} sentence */
function say(kind, sentence) {
  mark(byId("state"), "data-kind", kind);
  write(byId("state"), sentence);
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
  picture.muted = !picture.muted;
  drawSound();
  picture.play().catch(() => {});
});

function drawSound() {
  soundButton.hidden = stream.getAudioTracks().length === 0;
  mark(soundButton, "aria-pressed", String(!picture.muted));
  write(soundButton, picture.muted ? "Turn sound on" : "Turn sound off");
}

/** Show a track in the place of the last of its kind. @param {MediaStreamTrack} track */
function show(track) {
  for (const old of stream.getTracks()) if (old.kind === track.kind) stream.removeTrack(old);
  stream.addTrack(track);
  if (!picture.srcObject) picture.srcObject = stream;
  drawSound();
  picture.play().catch(() => {});
}

/** @param {MediaStreamTrack} track */
function hide(track) {
  stream.removeTrack(track);
  if (!stream.getTracks().length) picture.srcObject = null; // an empty stream keeps the page loading for ever
  drawSound();
}

/** Join, and stay for as long as the room lasts. @param {any} livekit @param {string} url @param {string} token */
async function watch(livekit, url, token) {
  const room = new livekit.Room({ adaptiveStream: false, disconnectOnPageLeave: true });
  const { RoomEvent } = livekit;
  const ended = new Promise((resolve) => { room.once(RoomEvent.Disconnected, resolve); });
  const draw = () => {
    if (stream.getVideoTracks().length) say("live", "Live");
    else say("wait", "Waiting for the program…");
  };
  room.on(RoomEvent.TrackSubscribed, (track) => { show(track.mediaStreamTrack); draw(); });
  room.on(RoomEvent.TrackUnsubscribed, (track) => { hide(track.mediaStreamTrack); draw(); });
  room.on(RoomEvent.Reconnecting, () => say("wait", "The connection was lost; reconnecting…"));
  room.on(RoomEvent.Reconnected, draw);
  await room.connect(url, token);
  draw();
  const timer = setInterval(() => drawFigures(room, livekit), FIGURES_PERIOD);
  await ended;
  clearInterval(timer);
  write(byId("figures"), "");
}

let last = { bytes: 0, at: 0 };

/** Size, rate and bit rate as received. */
async function drawFigures(room, livekit) {
  const publication = [...room.remoteParticipants.values()]
    .map((participant) => participant.getTrackPublication(livekit.Track.Source.Camera))
    .find((found) => found?.track);
  const report = await publication?.track.getRTCStatsReport();
  const rows = [...(report?.values() ?? [])].filter((row) => row.type === "inbound-rtp" && row.kind === "video");
  if (!rows.length) return;
  const { frameWidth, frameHeight, framesPerSecond, bytesReceived, packetsLost, timestamp } = rows[0];
  const kbps = last.at && bytesReceived >= last.bytes ? (bytesReceived - last.bytes) * 8 / (timestamp - last.at) : 0;
  last = { bytes: bytesReceived, at: timestamp };
  const lost = packetsLost > 0 ? ` · ${packetsLost} packets lost` : "";
  write(byId("figures"),
    `${frameWidth ?? "–"}×${frameHeight ?? "–"} · ${framesPerSecond ?? 0} fps · ${kbps.toFixed(0)} kbit/s${lost}`);
}

async function start() {
  const url = document.querySelector('meta[name="livekit-url"]').content;
  const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  if (!url) return say("bad", "This channel is not published; ask whoever runs it.");
  const until = expiry(token);
  if (Number.isNaN(until)) return say("bad", "This link is not complete; ask whoever sent it for a new one.");
  let livekit;
  try {
    livekit = await import(LIBRARY);
  } catch {
    return say("bad", "The viewers' library is missing on the studio's machine; running deploy/livekit.sh there gets it.");
  }
  livekit.setLogLevel("silent");
  while (Date.now() < until) {
    try {
      await watch(livekit, url, token);
    } catch {
      // The server is away or refuses; the sentence below is all a viewer can use.
    }
    for (const track of stream.getTracks()) hide(track);
    if (Date.now() < until) say("wait", "The program cannot be reached; trying again…");
    await new Promise((resolve) => { setTimeout(resolve, AGAIN); });
  }
  say("bad", "This link has expired; ask whoever sent it for a new one.");
}

start();
addEventListener("hashchange", () => location.reload());
