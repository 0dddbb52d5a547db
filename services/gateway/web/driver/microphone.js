// The microphone as blocks of 16 bit mono at 48 kHz.

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
    this.context = new AudioContext({ sampleRate: RATE_HZ, latencyHint: "interactive" });
    await this.context.audioWorklet.addModule("/web/driver/microphone-worklet.js");
    if (!this.context) return; // stopped meanwhile
    const node = new AudioWorkletNode(this.context, "microphone", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => {
      const block = new Uint8Array(1 + data.byteLength);
      block[0] = SOUND;
      block.set(new Uint8Array(data), 1);
      this.send(block.buffer);
    };
    this.context.createMediaStreamSource(stream).connect(node);
  }

  stop() {
    this.context?.close();
    this.context = null;
  }
}
