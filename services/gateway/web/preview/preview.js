// The preview socket: the conversation is in services/gateway/preview/viewers.py, the format in services/gateway/preview/encoder.py.

import { messageOf } from "../lib/elements.js";
import { keepOpen } from "../lib/reconnecting_socket.js";
import { Plate } from "./plate.js";
import { DRIVER, LABEL, ROI, SOUND, decode, parse } from "./preview_format.js";

const PING_PERIOD_MS = 2000;
const MODE_KEY = "persona-studio-mode";

export class Preview {
  /**
   * @param {import("../lib/api.js").Api} api
   * @param {import("./stage.js").Stage} stage
   * @param {HTMLCanvasElement} driverCanvas
   */
  constructor(api, stage, driverCanvas) {
    this.api = api;
    this.stage = stage;
    this.driverCanvas = driverCanvas;
    /** @type {"full" | "roi"} */
    this.mode = localStorage.getItem(MODE_KEY) === "full" ? "full" : "roi";
    /** The mode that the last frame came in. */
    this.shown = "";
    this.note = "";
    /** @type {WebSocket | null} */
    this.socket = null;
  }

  start() {
    keepOpen(() => this.api.socket(`preview?mode=${this.mode}`), {
      up: (socket) => this.begin(socket),
      message: (event) => this.receive(event.data),
      down: () => { this.socket = null; },
    });
    new ResizeObserver(() => this.sendView()).observe(this.stage.canvas);
    setInterval(() => this.send({ ping: performance.now() }), PING_PERIOD_MS);
  }

  /** @param {WebSocket} socket */
  begin(socket) {
    this.socket = socket;
    this.stage.begin(-1);
    this.stage.clock.samples.length = 0; // a machine that slept has another offset
    this.send({ mode: this.mode, listen: this.stage.sound.listening });
    this.sendView();
    for (let i = 0; i < 4; i += 1) setTimeout(() => this.send({ ping: performance.now() }), 50 * i);
  }

  /** How large the program is on this screen: more than that need not be sent. */
  sendView() {
    const { clientWidth, clientHeight } = this.stage.canvas;
    const view = [clientWidth, clientHeight].map((side) => Math.ceil(side * devicePixelRatio));
    if (view[0] && view[1]) this.send({ view });
  }

  /** @param {object} words */
  send(words) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(words));
  }

  /** @param {"full" | "roi"} mode */
  setMode(mode) {
    this.mode = mode;
    localStorage.setItem(MODE_KEY, mode);
    this.send({ mode });
  }

  /** @param {boolean} on */
  async listen(on) {
    await this.stage.sound.listen(on);
    this.send({ listen: on });
  }

  /** @param {string | ArrayBuffer} data */
  receive(data) {
    if (typeof data === "string") {
      const words = JSON.parse(data);
      if (words.hello) this.changeAvatar(words.hello);
      else if ("pong" in words) this.stage.clock.pong(words.pong, words.now);
      return;
    }
    const message = parse(data);
    if (message.kind === SOUND) {
      this.stage.sound.play(message.pts, message.payload, message.state === 1);
      this.send({ sounds: 1 });
    } else if (message.kind === DRIVER) {
      this.showDriver(message);
    } else {
      this.showFrame(message);
    }
  }

  /** Show a frame or label; acknowledge it as soon as there is room for the next, drawn or not.
   * @param {import("./preview_format.js").Message} message */
  async showFrame(message) {
    let waiting = message.kind !== LABEL;
    const acknowledge = () => {
      if (waiting) this.send({ ack: 1 });
      waiting = false;
    };
    try {
      await this.stage.show(message, acknowledge);
      if (message.kind !== LABEL) this.shown = message.kind === ROI ? "roi" : "full";
    } catch {
      this.note = "A frame could not be decoded.";
    }
    acknowledge();
  }

  /** Another avatar is on: fetch its plate; whole frames come until it is here.
   * @param {{number: number, avatar: string}} hello */
  async changeAvatar({ number, avatar }) {
    this.stage.begin(number);
    try {
      const plate = await Plate.fetch(this.api, avatar);
      if (this.stage.number !== number) return;
      this.stage.usePlate(plate, number);
      this.note = "";
      this.send({ plate: number });
    } catch (error) {
      this.note = `ROI preview needs the plate: ${messageOf(error)}`;
    }
  }

  /** @param {import("./preview_format.js").Message} message */
  async showDriver(message) {
    const bitmap = await decode(message.payload).catch(() => null);
    if (!bitmap) return;
    this.driverCanvas.width = bitmap.width;
    this.driverCanvas.height = bitmap.height;
    this.driverCanvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    bitmap.close();
  }
}
