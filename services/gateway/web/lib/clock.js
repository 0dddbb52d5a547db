// The gateway's channel clock in this page, with the offset from the ping with the shortest round trip of the last ones.

const KEPT = 16;

export class Clock {
  constructor() {
    /** @type {{trip: number, offset: number}[]} */
    this.samples = [];
  }

  /** @param {number} sent performance.now() at the ping @param {number} there microseconds on the channel clock */
  pong(sent, there) {
    const back = performance.now();
    this.samples.push({ trip: back - sent, offset: there - ((sent + back) / 2) * 1000 });
    if (this.samples.length > KEPT) this.samples.shift();
  }

  get known() {
    return this.samples.length > 0;
  }

  /** Microseconds on the channel clock now. */
  now() {
    const best = this.samples.reduce((a, b) => (b.trip < a.trip ? b : a));
    return performance.now() * 1000 + best.offset;
  }
}
