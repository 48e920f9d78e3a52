'use strict'
// Minimal HTTP/1.1 keep-alive load client over raw sockets (no pipelining; one request in flight per connection).
// Handles responses with Content-Length or Transfer-Encoding: chunked.
const net = require('node:net')
class Conn {
  constructor(host, port, onres, ondead) {
    this.host = host
    this.port = port
    this.onres = onres
    this.ondead = ondead
    this.open()
  }
  open() {
    this.buf = ''
    this.busy = false
    this.t0 = 0
    this.ctx = null
    const s = net.connect(this.port, this.host)
    this.s = s
    s.setNoDelay(true)
    s.setEncoding('latin1')
    s.on('data', d => {
      this.buf = this.buf ? this.buf + d : d
      this.parse()
    })
    s.on('error', () => {})
    s.on('close', () => {
      const b = this.busy,
        c = this.ctx
      this.busy = false
      this.dead = true
      this.ondead(this, b ? c : null)
    })
  }
  send(raw, ctx) {
    this.busy = true
    this.ctx = ctx
    this.t0 = performance.now()
    this.s.write(raw)
  }
  parse() {
    const i = this.buf.indexOf('\r\n\r\n')
    if (i < 0) return
    const head = this.buf.slice(0, i + 2)
    const low = head.toLowerCase()
    const code = +head.slice(9, 12)
    let end
    const c = low.indexOf('\ncontent-length:')
    if (c >= 0) {
      end = i + 4 + parseInt(low.slice(c + 16), 10)
      if (this.buf.length < end) return
    } else if (low.includes('\ntransfer-encoding: chunked')) {
      const z = this.buf.indexOf('0\r\n\r\n', i + 4)
      if (z < 0) return
      end = z + 5
    } else end = i + 4
    this.buf = this.buf.slice(end)
    this.busy = false
    this.onres(this, code, head, low, performance.now() - this.t0, this.ctx)
  }
}
const hdr = (head, low, name) => {
  const k = `\n${name}:`
  const i = low.indexOf(k)
  if (i < 0) return null
  const e = head.indexOf('\r\n', i + k.length)
  return head.slice(i + k.length, e).trim()
}
// run(bases, {conns, next(i) -> {raw, ctx} | null, done(code, head, low, ms, ctx)}) resolves when next returns null and nothing is in flight, or deadline
function run(bases, { conns, next, done, dead, deadlineMs }) {
  return new Promise(resolve => {
    const urls = bases.map(b => new URL(b))
    let inflight = 0
    let stop = false
    const cs = []
    const t = deadlineMs
      ? setTimeout(() => {
          stop = true
          fin()
        }, deadlineMs)
      : null
    let finished = false
    const fin = () => {
      if (finished) return
      if (inflight > 0 && !hard) return
      finished = true
      clearTimeout(t)
      clearTimeout(ht)
      for (const c of cs) c.s.destroy()
      resolve()
    }
    let hard = false
    const ht = deadlineMs
      ? setTimeout(() => {
          hard = true
          fin()
        }, deadlineMs + 35000)
      : null
    const kick = c => {
      if (finished) return
      if (c.dead) {
        c.dead = false
        c.open()
      }
      const n = stop ? null : next(c.target)
      if (!n) {
        stop = true
        return fin()
      }
      inflight++
      c.send(n.raw, n.ctx)
    }
    for (let i = 0; i < conns; i++) {
      const u = urls[i % urls.length]
      const c = new Conn(
        u.hostname,
        +u.port,
        (c, code, head, low, ms, ctx) => {
          inflight--
          done(code, head, low, ms, ctx)
          kick(c)
        },
        (c, ctx) => {
          if (ctx !== null) {
            inflight--
            if (dead) dead(ctx)
          }
          if (!finished) setTimeout(() => kick(c), 50)
        },
      )
      c.target = u
      cs.push(c)
      kick(c)
    }
  })
}
const pct = (a, p) => (a.length ? a[Math.min(a.length - 1, Math.floor(a.length * p))] : NaN)
const stats = arr => {
  const a = Float64Array.from(arr).sort()
  return {
    n: a.length,
    min: +pct(a, 0).toFixed(2),
    p50: +pct(a, 0.5).toFixed(2),
    p90: +pct(a, 0.9).toFixed(2),
    p99: +pct(a, 0.99).toFixed(2),
    p999: +pct(a, 0.999).toFixed(2),
    max: +pct(a, 1).toFixed(2),
  }
}
const post = (u, body) => {
  const b = Buffer.from(body).toString('latin1')
  return `POST ${u.base || ''}/timer HTTP/1.1\r\nHost: ${u.host}\r\nContent-Type: application/json\r\nContent-Length: ${b.length}\r\n\r\n${b}`
}
const del = (u, loc) => `DELETE ${loc} HTTP/1.1\r\nHost: ${u.host}\r\nContent-Length: 0\r\n\r\n`
const args = defs => {
  const o = { ...defs, _: [] }
  for (const a of process.argv.slice(2)) {
    const m = /^--([^=]+)(?:=(.*))?$/.exec(a)
    if (m) o[m[1]] = m[2] === undefined ? true : Number.isNaN(Number(m[2])) || m[2] === '' ? m[2] : +m[2]
    else o._.push(a)
  }
  return o
}
module.exports = { run, stats, pct, hdr, post, del, args }
