// A conversation with the host over one socket: the microphone or typed questions go out, the transcript comes back.
// The messages are those of services/gateway/models/conversation.py.

import { SPEAKING, closeDevices, openDevices, watchDevices, whySilent } from "../lib/devices.js";
import { messageOf } from "../lib/elements.js";
import { levelOf } from "../lib/level.js";
import { Microphone } from "../lib/microphone.js";
import { keepOpen } from "../lib/reconnecting_socket.js";

const RATE_HZ = 16_000;
const SHOWN_LINES = 50;
const DECAY = 0.85; // factor of the level's decay from one block to the next
const TYPE_INSTEAD = "You can type your question instead.";

/** @typedef {import("../lib/api_types.js").ConversationLine} ConversationLine */
/** @typedef {import("../lib/api_types.js").ConversationState} ConversationState */
/** @typedef {import("../lib/api_types.js").TurnLatency} TurnLatency */
/** @typedef {ConversationState | ConversationLine | TurnLatency | import("../lib/api_types.js").ConversationError} Message */

export class Conversation {
  /**
   * @param {() => WebSocket} connect opens a new socket, whose first message is the token
   * @param {() => void} changed is called after each change, except of the level
   * @param {(level: number) => void} heard is called with the microphone's level, 0 to 1
   */
  constructor(connect, changed, heard) {
    this.connect = connect;
    this.changed = changed;
    this.heard = heard;
    /** The state that the server reported, "" before the first report. @type {"" | ConversationState["state"]} */
    this.state = "";
    this.lost = false; // whether the page is reconnecting
    this.muted = false;
    this.error = "";
    /** What is wrong with the microphone, "" for nothing. */
    this.note = "";
    this.level = 0;
    /** The newest lines of the transcript, oldest first. @type {ConversationLine[]} */
    this.lines = [];
    /** The latency of the last answer. @type {TurnLatency | null} */
    this.latency = null;
    /** Closes the connection; a different function for each start of the conversation. @type {(() => void) | null} */
    this.close = null;
    /** The `close` of the conversation for which the browser is asking for permission to use the microphone. @type {(() => void) | null} */
    this.askedFor = null;
    /** @type {WebSocket | null} */
    this.socket = null;
    /** @type {MediaStream | null} */
    this.stream = null;
    /** @type {Microphone | null} */
    this.microphone = null;
    /** Callers that are waiting for the server's first message. @type {{done: () => void, refuse: (error: Error) => void}[]} */
    this.waiting = [];
  }

  /** Whether a conversation is open or being opened. */
  get open() {
    return this.close !== null;
  }

  /** Whether the microphone is on. */
  get listening() {
    return this.stream !== null;
  }

  /** Whether the browser is asking for permission to use the microphone. */
  get asking() {
    return this.close !== null && this.askedFor === this.close;
  }

  /** Open the conversation and the microphone. Without a microphone, questions can still be typed. */
  async start() {
    this.begin();
    if (this.stream || this.asking) return;
    this.note = "";
    const { close } = this;
    this.askedFor = close;
    this.changed();
    try {
      const stream = await openDevices({ audio: SPEAKING }, "microphone");
      if (this.close !== close) return closeDevices(stream); // stopped in the meantime
      this.askedFor = null;
      this.stream = stream;
      watchDevices(stream, () => this.noticeTrack());
      this.microphone = new Microphone(stream, RATE_HZ, (block) => this.speak(block));
      await this.microphone.start();
    } catch (error) {
      if (this.close !== close) return;
      this.askedFor = null;
      this.closeMicrophone();
      this.note = `${messageOf(error)} ${TYPE_INSTEAD}`;
    }
    this.changed();
  }

  /** Connect, unless connected already. */
  begin() {
    if (this.close) return;
    this.error = "";
    this.state = "";
    this.lost = false;
    this.close = keepOpen(this.connect, {
      up: (socket) => {
        this.socket = socket;
        if (this.muted) this.send({ type: "mute", muted: true });
      },
      message: ({ data }) => this.receive(JSON.parse(data)),
      down: (event) => this.down(event),
      isFinal: isRefusal,
    });
    this.changed();
  }

  /** Close the conversation and release the microphone. */
  stop() {
    this.note = "";
    this.end("The conversation was stopped.");
  }

  /** @param {string} why error sentence for callers that are still waiting */
  end(why) {
    this.closeMicrophone();
    this.close?.();
    this.close = null;
    this.socket = null;
    this.state = "";
    this.lost = false;
    for (const each of this.waiting.splice(0)) each.refuse(new Error(why));
    this.changed();
  }

  closeMicrophone() {
    this.microphone?.stop();
    this.microphone = null;
    closeDevices(this.stream);
    this.stream = null;
    if (this.muted) this.mute(false);
    this.level = 0;
    this.heard(0);
  }

  /** Send a typed question. Rejects with a sentence if it cannot be sent. @param {string} text */
  async ask(text) {
    this.begin();
    this.error = "";
    if (!this.state) await new Promise((done, refuse) => { this.waiting.push({ done: () => done(null), refuse }); });
    this.send({ type: "text", text });
  }

  /** Make the host stop speaking. */
  interrupt() {
    this.send({ type: "interrupt" });
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.muted = muted;
    this.send({ type: "mute", muted });
    this.level = 0;
    this.heard(0);
    this.changed();
  }

  /** @param {object} message */
  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** Send a block of the microphone's sound. @param {Int16Array<ArrayBuffer>} block */
  speak(block) {
    if (this.muted) return;
    if (this.state && this.socket?.readyState === WebSocket.OPEN) this.socket.send(block.buffer);
    this.level = Math.max(levelOf(block), this.level * DECAY);
    this.heard(this.level);
  }

  /** @param {Message} message */
  receive(message) {
    if (message.type === "state") {
      if (message.state === "hearing" || message.state === "thinking") this.error = "";
      this.state = message.state;
      this.lost = false;
      for (const each of this.waiting.splice(0)) each.done();
    } else if (message.type === "line") {
      const at = this.lines.findIndex(({ id }) => id === message.id);
      if (at < 0) this.lines = [...this.lines, message].slice(-SHOWN_LINES);
      else this.lines[at] = message;
    } else if (message.type === "latency") {
      this.latency = message;
    } else if (message.type === "error") {
      this.error = message.detail;
    }
    this.changed();
  }

  /** @param {CloseEvent} event */
  down(event) {
    this.socket = null;
    this.state = "";
    if (isRefusal(event)) {
      this.error = event.reason || "The studio ended the conversation.";
      this.end(this.error);
    } else {
      this.lost = true;
      this.changed();
    }
  }

  noticeTrack() {
    const track = this.stream?.getAudioTracks()[0];
    if (!track) return;
    const silent = whySilent(track, "microphone");
    if (track.readyState !== "live") this.closeMicrophone();
    this.note = silent && `${silent} ${TYPE_INSTEAD}`;
    this.changed();
  }
}

/** Whether the studio closed the socket with a reason, so that reconnecting is useless. @param {CloseEvent} event */
function isRefusal({ code }) {
  return code >= 4400 && code < 4500;
}
