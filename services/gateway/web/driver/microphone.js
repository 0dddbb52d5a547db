// The microphone as blocks of 16 bit mono at 48 kHz.

import { addressOf } from "../lib/address.js";

const RATE_HZ = 48_000;
const SOUND = 2;

export class Microphone {
  /** @param {MediaStream | null} stream @param {(block: ArrayBuffer) => void} send */
  constructor(stream, send) {
    this.stream = stream;
    this.send = send;
    /** @type {AudioContext | null} */
    this.context = null;
  }

  async start() {
    const { stream } = this;
    if (!stream?.getAudioTracks().length) return;
    const context = new AudioContext({ sampleRate: RATE_HZ, latencyHint: "interactive" });
    this.context = context;
    try {
      await context.audioWorklet.addModule(addressOf("/web/driver/microphone-worklet.js"));
    } catch (error) {
      if (this.context === context) throw error;
    }
    if (this.context !== context) return; // stopped meanwhile
    const node = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => {
      const block = new Uint8Array(1 + data.byteLength);
      block[0] = SOUND;
      block.set(new Uint8Array(data), 1);
      this.send(block.buffer);
    };
    context.createMediaStreamSource(stream).connect(node);
  }

  stop() {
    this.context?.close();
    this.context = null;
  }
}
