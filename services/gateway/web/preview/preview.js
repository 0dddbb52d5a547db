// The console's preview: the program as whole frames or as plate and ROI, and the driver.

import { keepOpen } from "../lib/reconnecting_socket.js";
import { Plate } from "./plate.js";
import { decode } from "./preview_format.js";
import { ProgramSocket } from "./program_socket.js";

const MODE_KEY = "persona-studio-mode";

export class Preview extends ProgramSocket {
  /**
   * @param {import("../lib/api.js").Api} api
   * @param {import("./stage.js").Stage} stage
   * @param {import("./captions.js").CaptionLine} captions
   * @param {HTMLCanvasElement} driverCanvas
   */
  constructor(api, stage, captions, driverCanvas) {
    super(stage, captions, ({ avatar = "" }) => Plate.fetch(api, `/avatars/${encodeURIComponent(avatar)}/plate`));
    this.api = api;
    this.driverCanvas = driverCanvas;
    /** @type {"full" | "roi"} */
    this.mode = localStorage.getItem(MODE_KEY) === "full" ? "full" : "roi";
  }

  start() {
    keepOpen(() => this.api.socket(`preview?mode=${this.mode}`), {
      up: (socket) => this.begin(socket),
      message: (event) => this.receive(event.data),
      down: () => this.end(),
    });
    super.start();
  }

  /** @param {WebSocket} socket */
  begin(socket) {
    super.begin(socket);
    this.send({ mode: this.mode });
  }

  /** @param {"full" | "roi"} mode */
  setMode(mode) {
    this.mode = mode;
    localStorage.setItem(MODE_KEY, mode);
    this.send({ mode });
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
