// Runs on the audio thread: float samples at the device's rate to s16 at the rate that is wanted, 20 ms a block.

const BLOCKS_A_SECOND = 50;
const CROSSINGS = 16; // zero crossings of the filter on either side
const PASSED = 0.9; // of the band that the lower rate can hold
const PHASES = 256; // of the filter's table between two samples

/** A windowed sinc between two rates: what the lower cannot hold is filtered out, so that it does not fold back. */
class Resampler {
  /** @param {number} from samples a second @param {number} to samples a second */
  constructor(from, to) {
    this.step = from / to;
    const band = PASSED * Math.min(1, to / from);
    this.reach = Math.ceil(CROSSINGS / band);
    this.table = Float32Array.from({ length: this.reach * PHASES + 1 }, (_, i) => {
      const x = i / PHASES;
      const sinc = i === 0 ? 1 : Math.sin(Math.PI * band * x) / (Math.PI * band * x);
      return band * sinc * (0.5 + 0.5 * Math.cos((Math.PI * x) / this.reach));
    });
    this.kept = new Float32Array(8 * this.reach);
    this.filled = 0;
    this.at = this.reach; // of the next sample, counted in those that are kept
  }

  /** @param {Float32Array} samples @param {(sample: number) => void} take */
  push(samples, take) {
    if (this.filled + samples.length > this.kept.length) {
      const longer = new Float32Array(2 * (this.filled + samples.length));
      longer.set(this.kept.subarray(0, this.filled));
      this.kept = longer;
    }
    this.kept.set(samples, this.filled);
    this.filled += samples.length;
    for (; this.at + this.reach < this.filled; this.at += this.step) take(this.sample());
    const over = Math.max(0, Math.floor(this.at - this.reach));
    this.kept.copyWithin(0, over, this.filled);
    this.filled -= over;
    this.at -= over;
  }

  sample() {
    let sum = 0;
    const last = Math.floor(this.at + this.reach);
    for (let i = Math.ceil(this.at - this.reach); i <= last; i += 1) {
      sum += this.kept[i] * this.table[Math.round(Math.abs(i - this.at) * PHASES)];
    }
    return sum;
  }
}

class MicrophoneProcessor extends AudioWorkletProcessor {
  /** @param {{processorOptions: {rate: number}}} options */
  constructor({ processorOptions: { rate } }) {
    super();
    this.resampler = rate === sampleRate ? null : new Resampler(sampleRate, rate);
    this.length = rate / BLOCKS_A_SECOND;
    this.block = new Int16Array(this.length);
    this.filled = 0;
  }

  /** @param {Float32Array[][]} inputs of the node, each by channel @returns {boolean} true: go on */
  process([[samples]]) {
    if (!samples) return true;
    if (this.resampler) this.resampler.push(samples, (sample) => this.take(sample));
    else samples.forEach((sample) => this.take(sample));
    return true;
  }

  /** @param {number} sample */
  take(sample) {
    this.block[this.filled] = Math.max(-1, Math.min(1, sample)) * 32767;
    this.filled += 1;
    if (this.filled < this.length) return;
    this.port.postMessage(this.block, [this.block.buffer]);
    this.block = new Int16Array(this.length);
    this.filled = 0;
  }
}

registerProcessor("microphone", MicrophoneProcessor);
