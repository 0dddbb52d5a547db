// The microphone's sound in blocks of 20 ms, 16-bit mono.

import { addressOf } from "./address.js";

export class Microphone {
  /** @param {MediaStream | null} stream @param {number} rate samples a second @param {(block: Int16Array<ArrayBuffer>) => void} send */
  constructor(stream, rate, send) {
    this.stream = stream;
    this.rate = rate;
    this.send = send;
    /** @type {AudioContext | null} */
    this.context = null;
  }

  async start() {
    const { stream } = this;
    if (!stream?.getAudioTracks().length) return;
    // Use the device's rate: not every browser connects a microphone to a context with a different rate.
    const context = new AudioContext({ latencyHint: "interactive" });
    this.context = context;
    try {
      await context.audioWorklet.addModule(addressOf("/web/lib/microphone-worklet.js"));
    } catch (error) {
      if (this.context === context) throw error;
    }
    if (this.context !== context) return; // stopped in the meantime
    const node = new AudioWorkletNode(context, "microphone", {
      numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit", processorOptions: { rate: this.rate },
    });
    node.port.onmessage = ({ data }) => this.send(data);
    context.createMediaStreamSource(stream).connect(node);
  }

  stop() {
    this.context?.close();
    this.context = null;
  }
}
