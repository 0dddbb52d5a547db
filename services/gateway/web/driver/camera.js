// This browser's camera and microphone, or its microphone alone, as driver: newest picture only, nothing queued.

import { Microphone } from "./microphone.js";

const WIDTH = 640, HEIGHT = 480, RATE = 25, QUALITY = 0.8;
const PICTURE = 1;

export class BrowserCamera {
  /** @param {import("../lib/api.js").Api} api */
  constructor(api) {
    this.api = api;
    this.note = "";
    /** @type {MediaStream | null} */
    this.stream = null;
    /** @type {WebSocket | null} */
    this.socket = null;
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.playsInline = true;
    this.canvas = document.createElement("canvas");
    this.canvas.width = WIDTH;
    this.canvas.height = HEIGHT;
    this.timer = 0;
    this.busy = false;
    this.word = "";
  }

  /** Ask for the devices of a driver. Rejects with a sentence. @param {"browser" | "microphone"} word */
  async open(word) {
    if (this.stream && this.word === word) return;
    this.stop();
    this.word = word;
    if (!navigator.mediaDevices) throw new Error("Browsers give camera and microphone only to pages on localhost or https; open the console there.");
    const video = { width: WIDTH, height: HEIGHT, frameRate: RATE };
    const audio = { echoCancellation: true, noiseSuppression: true, channelCount: 1 };
    const device = word === "browser" ? "camera" : "microphone";
    const devices = navigator.mediaDevices;
    try {
      this.stream = word === "microphone" ? await devices.getUserMedia({ audio })
        : await devices.getUserMedia({ video, audio })
          .catch((error) => (error.name === "NotFoundError" ? devices.getUserMedia({ video }) : Promise.reject(error)));
    } catch (error) {
      throw new Error(error.name === "NotAllowedError"
        ? `The browser was not allowed to use the ${device}; allow it beside the address and try again.`
        : `The browser has no ${device} to offer (${error.name}).`);
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
    this.microphone = new Microphone(this.stream, (block) => this.send(block));
    this.socket.addEventListener("open", () => {
      this.note = "this page is the driver";
      if (this.word === "browser") this.timer = setInterval(() => this.picture(), 1000 / RATE);
      this.microphone.start();
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

  async picture() {
    if (this.busy || !this.socket || this.socket.bufferedAmount > 0) return;
    this.busy = true;
    this.canvas.getContext("2d").drawImage(this.video, 0, 0, WIDTH, HEIGHT);
    const jpeg = await new Promise((done) => this.canvas.toBlob(done, "image/jpeg", QUALITY));
    this.busy = false;
    if (jpeg) this.send(new Blob([new Uint8Array([PICTURE]), jpeg]));
  }

  /** @param {Blob | ArrayBuffer} message */
  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(message);
  }
}
