// This browser's camera and microphone, or its microphone alone, as the driver. Only the newest frame is sent; none are queued.

import { SPEAKING, closeDevices, openDevices, watchDevices, whySilent } from "../lib/devices.js";
import { Microphone } from "../lib/microphone.js";
import { FrameEncoder } from "./frame_encoder.js";

const LONG_SIDE_PX = 640, SHORT_SIDE_PX = 480, RATE_FPS = 25;
const SOUND_RATE_HZ = 48_000;
const FRAME = 1, SOUND = 2; // first byte of a message, its kind

export class BrowserCamera {
  /** @param {import("../lib/api.js").Api} api */
  constructor(api) {
    this.api = api;
    this.note = "";
    /** @type {MediaStream | null} */
    this.stream = null;
    /** @type {WebSocket | null} */
    this.socket = null;
    /** @type {Microphone | null} */
    this.microphone = null;
    /** @type {FrameEncoder | null} */
    this.encoder = null;
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.playsInline = true;
    this.busy = false;
    this.word = "";
    this.revision = 0;
  }

  /** Ask for the devices of a driver. Rejects with a sentence. @param {"browser" | "microphone"} word */
  async openDevices(word) {
    if (this.stream && this.word === word) return;
    this.stop();
    this.word = word;
    const video = { width: LONG_SIDE_PX, height: SHORT_SIDE_PX, frameRate: RATE_FPS };
    this.stream = word === "microphone" ? await openDevices({ audio: SPEAKING }, "microphone") : await openDevices({ video, audio: SPEAKING }, "camera");
    watchDevices(this.stream, () => this.noticeTracks());
    if (word === "microphone") return;
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  /** Begin to send; the browser must already be the scene's driver. @param {number} revision of that scene */
  start(revision) {
    if (this.socket) return;
    this.revision = revision;
    const socket = this.api.socket("driver");
    this.socket = socket;
    this.note = "Connecting…";
    const microphone = new Microphone(this.stream, SOUND_RATE_HZ, (block) => this.sendSound(block));
    this.microphone = microphone;
    socket.addEventListener("open", () => {
      if (this.socket !== socket) return;
      if (this.word === "browser") this.encoder = new FrameEncoder(RATE_FPS, () => this.sendFrame());
      microphone.start();
      this.noticeTracks();
    });
    socket.addEventListener("close", (event) => {
      if (this.socket !== socket) return; // stopped by this page, and possibly started again since
      this.stop();
      this.note = event.reason || "The connection to the studio was lost. Choose this driver again.";
    });
  }

  /** Stop sending and release the devices. */
  stop() {
    this.encoder?.close();
    this.encoder = null;
    this.microphone?.stop();
    closeDevices(this.stream);
    this.stream = null;
    const { socket } = this;
    this.socket = null;
    socket?.close();
    this.busy = false;
    this.note = "";
  }

  /** Stop when another driver was chosen. States from before this driver was chosen may still arrive and are ignored.
   * @param {{ driver: string, revision: number }} scene */
  follow(scene) {
    if (scene.revision < this.revision) return;
    if (this.socket?.readyState === WebSocket.OPEN && scene.driver !== this.word) this.stop();
  }

  /** Show the state of the devices; stop when the required one is lost: unplugged, taken by another program, or its permission
   * withdrawn. */
  noticeTracks() {
    if (!this.stream) return;
    const [camera] = this.stream.getVideoTracks(), [microphone] = this.stream.getAudioTracks();
    const needed = this.word === "browser" ? camera : microphone;
    const device = this.word === "browser" ? "camera" : "microphone";
    const silent = whySilent(needed, device);
    if (needed?.readyState !== "live") {
      this.stop();
      this.note = `${silent} Reconnect or allow it, then choose this driver again.`;
    } else if (silent) {
      this.note = silent;
    } else if (microphone && microphone.readyState !== "live") {
      this.note = "This page is the driver, without sound: the microphone was unplugged, or its permission was withdrawn.";
    } else {
      this.note = "This page is the driver";
    }
  }

  /** Send the camera's current frame, unless the previous one is still being encoded or sent. */
  async sendFrame() {
    const { encoder, video } = this;
    const track = this.stream?.getVideoTracks()[0];
    if (track?.readyState !== "live") return this.noticeTracks(); // the track ended without an event
    if (this.busy || !encoder || track.muted || !video.videoWidth || !this.socket || this.socket.bufferedAmount > 0) return;
    this.busy = true;
    try {
      const jpeg = await encoder.encode(video, ...sizeToSend(video.videoWidth, video.videoHeight));
      if (jpeg && encoder === this.encoder) this.send(new Blob([new Uint8Array([FRAME]), jpeg]));
    } catch {
      // The browser cannot encode this frame, for example while the camera is rotated; skip it.
    }
    this.busy = false;
  }

  /** @param {Int16Array<ArrayBuffer>} block */
  sendSound(block) {
    const message = new Uint8Array(1 + block.byteLength);
    message[0] = SOUND;
    message.set(new Uint8Array(block.buffer), 1);
    this.send(message.buffer);
  }

  /** @param {Blob | ArrayBuffer} message */
  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(message);
  }
}

/** The size to send: the camera's aspect ratio in any orientation, no larger than face tracking uses.
 * @param {number} width @param {number} height
 * @returns {[number, number]} */
function sizeToSend(width, height) {
  const scale = Math.min(1, LONG_SIDE_PX / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}
