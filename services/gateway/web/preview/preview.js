// The preview socket: the conversation is in services/gateway/preview/viewers.py, the format in services/gateway/preview/encoder.py.

import { keepOpen } from "../lib/reconnecting_socket.js";
import { Plate } from "./plate.js";
import { DRIVER, LABEL, ROI, SOUND, decode, parse } from "./preview_format.js";

const PING_EVERY = 2000;
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
    this.mode = localStorage.getItem(MODE_KEY) === "full" ? "full" : "roi";
    /** What the last picture came as. */
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
    new ResizeObserver(() => this.sayView()).observe(this.stage.canvas);
    setInterval(() => this.say({ ping: performance.now() }), PING_EVERY);
  }

  /** @param {WebSocket} socket */
  begin(socket) {
    this.socket = socket;
    this.stage.begin(-1);
    this.stage.clock.samples.length = 0; // a machine that slept has another offset
    this.say({ mode: this.mode, listen: this.stage.sound.listening });
    this.sayView();
    for (let i = 0; i < 4; i += 1) setTimeout(() => this.say({ ping: performance.now() }), 50 * i);
  }

  /** How large the picture is on this screen: more than that need not be sent. */
  sayView() {
    const { clientWidth, clientHeight } = this.stage.canvas;
    const view = [clientWidth, clientHeight].map((side) => Math.ceil(side * devicePixelRatio));
    if (view[0] && view[1]) this.say({ view });
  }

  /** @param {object} words */
  say(words) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(words));
  }

  /** @param {"full" | "roi"} mode */
  setMode(mode) {
    this.mode = mode;
    localStorage.setItem(MODE_KEY, mode);
    this.say({ mode });
  }

  /** @param {boolean} on */
  async listen(on) {
    await this.stage.sound.listen(on);
    this.say({ listen: on });
  }

  /** @param {string | ArrayBuffer} data */
  receive(data) {
    if (typeof data === "string") {
      const words = JSON.parse(data);
      if (words.hello) this.hello(words.hello);
      else if ("pong" in words) this.stage.clock.pong(words.pong, words.now);
      return;
    }
    const message = parse(data);
    if (message.kind === SOUND) {
      this.stage.sound.play(message.pts, message.payload);
      this.say({ sounds: 1 });
    } else if (message.kind === DRIVER) {
      this.showDriver(message);
    } else {
      this.show(message);
    }
  }

  /** Show a picture; acknowledge it as soon as there is room for the next, drawn or not.
   * @param {ReturnType<typeof parse>} message */
  async show(message) {
    let waiting = message.kind !== LABEL;
    const acknowledge = () => {
      if (waiting) this.say({ ack: 1 });
      waiting = false;
    };
    try {
      await this.stage.show(message, acknowledge);
      if (message.kind !== LABEL) this.shown = message.kind === ROI ? "roi" : "full";
    } catch {
      this.note = "A picture could not be decoded.";
    }
    acknowledge();
  }

  /** Another avatar is on: fetch its plate, full pictures until it is here. */
  async hello({ number, avatar }) {
    this.stage.begin(number);
    try {
      const plate = await Plate.fetch(this.api, avatar);
      if (this.stage.number !== number) return;
      this.stage.usePlate(plate, number);
      this.note = "";
      this.say({ plate: number });
    } catch (error) {
      this.note = `ROI preview needs the plate: ${error.message}`;
    }
  }

  /** @param {ReturnType<typeof parse>} message */
  async showDriver(message) {
    const bitmap = await decode(message.payload).catch(() => null);
    if (!bitmap) return;
    this.driverCanvas.width = bitmap.width;
    this.driverCanvas.height = bitmap.height;
    this.driverCanvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
  }
}
