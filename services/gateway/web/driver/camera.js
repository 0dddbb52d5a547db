// This browser's camera and microphone, or its microphone alone, as driver: newest frame only, nothing queued.

import { Microphone } from "./microphone.js";

const WIDTH_PX = 640, HEIGHT_PX = 480, RATE_FPS = 25, JPEG_QUALITY = 0.8;
const FRAME = 1; // first byte of such a message

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
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.playsInline = true;
    this.canvas = document.createElement("canvas");
    this.canvas.width = WIDTH_PX;
    this.canvas.height = HEIGHT_PX;
    this.timer = 0;
    this.busy = false;
    this.word = "";
  }

  /** Ask for the devices of a driver. Rejects with a sentence. @param {"browser" | "microphone"} word */
  async openDevices(word) {
    if (this.stream && this.word === word) return;
    this.stop();
    this.word = word;
    if (!navigator.mediaDevices) throw new Error("Browsers give camera and microphone only to pages on localhost or https; open the console there.");
    const video = { width: WIDTH_PX, height: HEIGHT_PX, frameRate: RATE_FPS };
    const audio = { echoCancellation: true, noiseSuppression: true, channelCount: 1 };
    const device = word === "browser" ? "camera" : "microphone";
    const devices = navigator.mediaDevices;
    try {
      this.stream = word === "microphone" ? await devices.getUserMedia({ audio })
        : await devices.getUserMedia({ video, audio })
          .catch((error) => (error.name === "NotFoundError" ? devices.getUserMedia({ video }) : Promise.reject(error)));
    } catch (error) {
      const name = error instanceof Error ? error.name : "";
      throw new Error(name === "NotAllowedError"
        ? `The browser was not allowed to use the ${device}; allow it beside the address and try again.`
        : `The browser has no ${device} to offer (${name}).`);
    }
    if (word === "microphone") return;
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  /** Begin to send; the scene must already want the browser. */
  start() {
    if (this.socket) return;
    this.socket = this.api.socket("driver");
    this.note = "connecting…";
    const microphone = new Microphone(this.stream, (block) => this.send(block));
    this.microphone = microphone;
    this.socket.addEventListener("open", () => {
      this.note = "this page is the driver";
      if (this.word === "browser") this.timer = setInterval(() => this.sendFrame(), 1000 / RATE_FPS);
      microphone.start();
    });
    this.socket.addEventListener("close", (event) => {
      this.stop();
      this.note = event.reason;
    });
  }

  /** Camera off. */
  stop() {
    clearInterval(this.timer);
    this.microphone?.stop();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    const { socket } = this;
    this.socket = null;
    socket?.close();
    this.note = "";
  }

  /** Another driver was chosen somewhere: give the camera back. @param {string} driver */
  follow(driver) {
    if (this.socket?.readyState === WebSocket.OPEN && driver !== this.word) this.stop();
  }

  /** Send the camera's frame, unless the last one is still on its way. */
  async sendFrame() {
    if (this.busy || !this.socket || this.socket.bufferedAmount > 0) return;
    this.busy = true;
    this.canvas.getContext("2d")?.drawImage(this.video, 0, 0, WIDTH_PX, HEIGHT_PX);
    /** @type {Blob | null} */
    const jpeg = await new Promise((done) => { this.canvas.toBlob(done, "image/jpeg", JPEG_QUALITY); });
    this.busy = false;
    if (jpeg) this.send(new Blob([new Uint8Array([FRAME]), jpeg]));
  }

  /** @param {Blob | ArrayBuffer} message */
  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(message);
  }
}
