// The program over a socket. services/gateway/preview/viewers.py describes the protocol, services/gateway/preview/encoder.py the format.

import { messageOf } from "../lib/elements.js";
import { DRIVER, LABEL, ROI, SOUND, parse } from "./preview_format.js";

const PING_PERIOD_MS = 2000;
const RETRY_MS = 5000;
const SOUNDS_AT_ONCE = 5; // sounds per acknowledgement; far fewer than may be unacknowledged

/** Announcement of an avatar: the console gets its name, `avatar`; a watch page gets a name that does not reveal it, `plate`.
 * @typedef {{number: number, avatar?: string, plate?: string}} Hello */

export class ProgramSocket {
  /**
   * @param {import("./stage.js").Stage} stage
   * @param {import("./captions.js").CaptionLine} captions
   * @param {(hello: Hello) => Promise<import("./plate.js").Plate>} fetchPlate
   */
  constructor(stage, captions, fetchPlate) {
    this.stage = stage;
    this.captions = captions;
    stage.onDrawn = (pts) => captions.show(pts);
    this.fetchPlate = fetchPlate;
    /** The mode of the last frame. */
    this.shown = "";
    this.note = "";
    this.sounds = 0;
    /** @type {WebSocket | null} */
    this.socket = null;
  }

  /** Send periodic pings on the current socket, whichever it is. */
  start() {
    new ResizeObserver(() => this.sendView()).observe(this.stage.canvas);
    setInterval(() => this.send({ ping: performance.now() }), PING_PERIOD_MS);
  }

  /** @param {WebSocket} socket */
  begin(socket) {
    this.socket = socket;
    this.sounds = 0;
    this.stage.begin(-1);
    this.captions.clear();
    this.stage.clock.samples.length = 0; // the clock's offset changes if the machine was asleep
    this.send({ listen: this.stage.sound.listening });
    this.sendView();
    for (let i = 0; i < 4; i += 1) setTimeout(() => this.send({ ping: performance.now() }), 50 * i);
  }

  end() {
    this.socket = null;
  }

  /** Report the program's size on this screen, so that no larger frames are sent than needed. */
  sendView() {
    const { clientWidth, clientHeight } = this.stage.canvas;
    const view = [clientWidth, clientHeight].map((side) => Math.ceil(side * devicePixelRatio));
    if (view[0] && view[1]) this.send({ view });
  }

  /** @param {object} words */
  send(words) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(words));
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
      else if (words.caption) this.captions.receive(words.caption);
      else if ("pong" in words) this.stage.clock.pong(words.pong, words.now);
      return;
    }
    const message = parse(data);
    if (message.kind === SOUND) {
      this.stage.sound.play(message.pts, message.payload, message.state === 1);
      this.sounds += 1;
      if (this.sounds === SOUNDS_AT_ONCE) {
        this.send({ sounds: this.sounds });
        this.sounds = 0;
      }
    } else if (message.kind === DRIVER) {
      this.showDriver(message);
    } else {
      this.showFrame(message);
    }
  }

  /** Show a frame or label; acknowledge it as soon as the next one can be accepted, even if it was not drawn.
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

  /** Fetch the plate of a new avatar; full frames arrive until the page has it. @param {Hello} hello */
  changeAvatar(hello) {
    this.stage.begin(hello.number);
    this.takePlate(hello);
  }

  /** @param {Hello} hello */
  async takePlate(hello) {
    const { socket } = this;
    const isCurrent = () => this.socket === socket && this.stage.number === hello.number;
    try {
      const plate = await this.fetchPlate(hello);
      if (!isCurrent()) return;
      this.stage.usePlate(plate, hello.number);
      this.note = "";
      this.send({ plate: hello.number });
    } catch (error) {
      this.note = `The ROI preview cannot load the plate: ${messageOf(error)}`;
      setTimeout(() => { if (isCurrent()) this.takePlate(hello); }, RETRY_MS);
    }
  }

  /** Show the driver's frame, which only the console receives. @param {import("./preview_format.js").Message} message */
  showDriver(message) {
    void message;
  }
}
