// Runs on the audio thread: converts float samples at the device's rate to s16 at the wanted rate, in blocks of 20 ms.

const BLOCKS_A_SECOND = 50;
const CROSSINGS = 16; // zero crossings of the filter on either side
const PASSED = 0.9; // share of the lower rate's band that passes the filter
const PHASES = 256; // positions between two samples in the filter's table

/** Converts between sample rates with a windowed sinc, which removes frequencies that would alias at the lower rate. */
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
    this.at = this.reach; // position of the next output sample, in kept input samples
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

  /** @param {Float32Array[][]} inputs of the node, each by channel @returns {boolean} true: keep the processor running */
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
