// Runs on the audio thread: float samples to s16, 20 ms a block.

const BLOCK = 960; // samples

class MicrophoneProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Int16Array(BLOCK);
    this.filled = 0;
  }

  /** @param {Float32Array[][]} inputs of the node, each by channel @returns {boolean} true: go on */
  process([[samples]]) {
    for (const sample of samples ?? []) {
      this.block[this.filled] = Math.max(-1, Math.min(1, sample)) * 32767;
      this.filled += 1;
      if (this.filled === BLOCK) {
        this.port.postMessage(this.block.buffer, [this.block.buffer]);
        this.block = new Int16Array(BLOCK);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("microphone", MicrophoneProcessor);
