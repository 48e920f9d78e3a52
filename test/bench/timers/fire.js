'use strict'
// firing accuracy: node fire.js URL[,URL] [--n=10000] [--min=2000] [--max=5000] [--conns=64] [--sink=22051] [--rate=0 (per s, 0 = as fast as possible)] [--after=6000]
// In-process HTTP sink. lateness = arrival - (time the create response arrived + timeout); early < 0 against the send time is a violation.
const http = require('node:http')
const { run, stats, post, args } = require('./rawclient')
const o = args({ n: 10000, min: 2000, max: 5000, conns: 64, sink: 22051, after: 6000, rate: 0 })
const bases = (o._[0] || 'http://127.0.0.1:3000').split(',')
const T = new Array(o.n)
let arrived = 0
const sink = http.createServer((q, r) => {
  const now = performance.now()
  let s = ''
  q.setEncoding('utf8')
  q.on('data', d => {
    s += d
  })
  q.on('end', () => {
    const i = +s
    const t = T[i]
    if (t) {
      if (!t.hits++) {
        t.at = now
        arrived++
      }
    }
    r.statusCode = 200
    r.end()
  })
})
sink.keepAliveTimeout = 65000
sink.listen(o.sink, '127.0.0.1', 4096, async () => {
  let i = 0
  const codes = {}
  let failed = 0
  const t0 = performance.now()
  await run(bases, {
    conns: o.conns,
    dead: () => failed++,
    next: u => {
      if (i >= o.n) return null
      const k = i++
      const timeout = Math.round(o.min + Math.random() * (o.max - o.min))
      T[k] = { hits: 0, timeout, sent: performance.now() }
      return {
        ctx: k,
        raw: post(
          u,
          JSON.stringify({
            timeout,
            data: String(k),
            callback: { transport: 'http', method: 'post', uri: `http://127.0.0.1:${o.sink}/` },
          }),
        ),
      }
    },
    done: (code, _h, _l, _ms, k) => {
      codes[code] = (codes[code] || 0) + 1
      if (code === 201) T[k].resp = performance.now()
    },
  })
  const createSecs = (performance.now() - t0) / 1000
  const end = performance.now() + o.max + o.after
  while (performance.now() < end && arrived < o.n) await new Promise(s => setTimeout(s, 100))
  await new Promise(s => setTimeout(s, 1500))
  const late = [],
    lateSent = []
  let lost = 0,
    dup = 0,
    early = 0,
    unacked = 0
  for (const t of T) {
    if (!t) continue
    if (!t.resp) {
      unacked++
      continue
    }
    if (!t.hits) {
      lost++
      continue
    }
    if (t.hits > 1) dup += t.hits - 1
    late.push(t.at - t.resp - t.timeout)
    const ls = t.at - t.sent - t.timeout
    lateSent.push(ls)
    if (ls < 0) early++
  }
  console.log(
    JSON.stringify({
      op: 'fire',
      n: o.n,
      createSecs: +createSecs.toFixed(2),
      codes,
      failed,
      unacked,
      lost,
      dup,
      early,
      late_ms: stats(late),
      late_from_send_ms: stats(lateSent),
    }),
  )
  process.exit(0)
})
