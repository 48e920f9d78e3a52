/**
 * Stand-in for the `metrics` package, with exactly what ringpop uses: `Meter` (events per second, exponentially
 * weighted) and `Histogram` (percentiles of recent values). No timers, so a process can end by itself.
 *
 * Ringpop derives its gossip period from `percentiles([0.5])['0.5']`: it must be a number, or gossip runs at 1 ms.
 */

/** Rate with exponential decay, brought up to date only when it is touched. */
class Rate {
  constructor(minutes) {
    this.decayMs = minutes * 60_000
    this.perMs = 0
    this.atMs = Date.now()
  }
  mark(count) {
    const nowMs = Date.now()
    this.perMs = this.perMs * Math.exp((this.atMs - nowMs) / this.decayMs) + count / this.decayMs
    this.atMs = nowMs
  }
  perSecond() {
    return this.perMs * Math.exp((this.atMs - Date.now()) / this.decayMs) * 1000
  }
  stop() {}
}

class Meter {
  constructor() {
    this.type = 'meter'
    this.count = 0
    this.m1Rate = new Rate(1)
    this.m5Rate = new Rate(5)
    this.m15Rate = new Rate(15)
  }
  mark(count = 1) {
    this.count += count
    this.m1Rate.mark(count)
    this.m5Rate.mark(count)
    this.m15Rate.mark(count)
  }
  printObj() {
    return {
      type: 'meter',
      count: this.count,
      m1: this.m1Rate.perSecond(),
      m5: this.m5Rate.perSecond(),
      m15: this.m15Rate.perSecond(),
    }
  }
}

const sampleSize = 512

class Histogram {
  constructor() {
    this.type = 'histogram'
    this.count = 0
    this.sample = []
  }
  update(value) {
    if (!Number.isFinite(value)) return
    this.sample[this.count % sampleSize] = value
    this.count += 1
  }
  /** Values at the given fractions, by name of the fraction; 0 while there are none. */
  percentiles(fractions = [0.5, 0.75, 0.95, 0.99, 0.999]) {
    const sorted = [...this.sample].sort((a, b) => a - b)
    const values = {}
    for (const fraction of fractions) {
      values[fraction] =
        sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))]
    }
    return values
  }
  printObj() {
    const values = this.percentiles()
    const sum = this.sample.reduce((total, value) => total + value, 0)
    return {
      type: 'histogram',
      count: this.count,
      min: this.sample.length ? Math.min(...this.sample) : 0,
      max: this.sample.length ? Math.max(...this.sample) : 0,
      mean: this.sample.length ? sum / this.sample.length : 0,
      median: values['0.5'],
      p75: values['0.75'],
      p95: values['0.95'],
      p99: values['0.99'],
      p999: values['0.999'],
    }
  }
}

module.exports = { Meter, Histogram }
