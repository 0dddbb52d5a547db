// Program sound: schedules blocks one after the other on the audio clock, and holds frames until their sound is heard.

const RATE_HZ = 48_000;
const LEAD_S = 0.06;
const SLACK_S = 0.09;

export class ProgramSound {
  /** @param {number} lead seconds between arrival and playback, the network jitter that is tolerated */
  constructor(lead = LEAD_S) {
    this.lead = lead;
    this.latest = lead + SLACK_S; // if sound is scheduled further ahead, because the audio clock stood still, the schedule is restarted
    /** @type {GainNode | null} */
    this.gain = null;
    this.loudness = 1;
    /** @type {AudioContext | null} */
    this.context = null;
    this.listening = false;
    /** Audio time at which the sample with this pts plays. @type {{pts: number, time: number} | null} */
    this.anchor = null;
    /** real: real blocks since the last substituted silence. putOff: whether the schedule was started by such silence. */
    this.real = 0;
    this.putOff = false;
  }

  /** Start or stop listening; must be called from a click or key. @param {boolean} on */
  async listen(on) {
    this.listening = on;
    this.anchor = null;
    if (on) {
      this.context ??= new AudioContext({ sampleRate: RATE_HZ, latencyHint: "interactive" });
      this.gain ??= new GainNode(this.context, { gain: this.loudness });
      this.gain.connect(this.context.destination);
      await this.context.resume();
    } else {
      await this.context?.suspend();
    }
  }

  /** @param {number} loudness 0 to 1 */
  setVolume(loudness) {
    this.loudness = loudness;
    if (this.gain) this.gain.gain.value = loudness;
  }

  /** One tick's sound.
   * @param {number} pts microseconds @param {Uint8Array<ArrayBuffer>} payload s16 mono
   * @param {boolean} madeUp silence that the gateway substituted for missing sound; it arrives later than real sound */
  play(pts, payload, madeUp) {
    if (!this.listening || !this.context || !this.gain || this.context.state !== "running") return;
    const samples = new Int16Array(payload.buffer.slice(payload.byteOffset));
    const now = this.context.currentTime;
    let at = this.anchor === null ? now : this.anchor.time + (pts - this.anchor.pts) / 1e6;
    // Substituted silence arrives late, so a schedule started by it is late too; restart it with the second real block, the first on time.
    this.real = madeUp ? 0 : this.real + 1;
    if (this.putOff && this.real === 1) return;
    if (this.anchor === null || at < now || at > now + this.latest || (this.putOff && !madeUp)) {
      this.putOff = madeUp;
      this.anchor = { pts, time: now + this.lead };
      at = now + this.lead;
    }
    const block = this.context.createBuffer(1, samples.length, RATE_HZ);
    const channel = block.getChannelData(0);
    for (let i = 0; i < samples.length; i += 1) channel[i] = samples[i] / 32768;
    const source = this.context.createBufferSource();
    source.buffer = block;
    source.connect(this.gain);
    source.start(at);
  }

  /** Wait until the sound of a frame is heard; returns immediately while the sound is off. @param {number} pts */
  async waitFor(pts) {
    if (!this.listening || this.anchor === null || !this.context) return;
    const heard = this.anchor.time + (pts - this.anchor.pts) / 1e6 + (this.context.outputLatency || 0);
    const wait = Math.min(heard - this.context.currentTime, this.latest);
    if (wait > 0.004) await new Promise((done) => setTimeout(done, wait * 1000));
  }
}
