'use strict'
// create load:  node load.js http://127.0.0.1:3000[,http://...] [--conns=64] [--secs=10 | --n=100000] [--timeout=3600000] [--bytes=0] [--ids=file] [--cb=http://127.0.0.1:9/]
// cancel load:  node load.js URL[,URL] --cancel=file [--conns=64]
const { run, stats, hdr, post, del, args } = require('./rawclient')
const fs = require('node:fs')
const o = args({ conns: 64, secs: 10, timeout: 3600000, bytes: 0, cb: 'http://127.0.0.1:9/' })
const bases = (o._[0] || 'http://127.0.0.1:3000').split(',')
;(async () => {
  const lat = []
  const codes = {}
  const locs = []
  let deadN = 0
  const body = JSON.stringify({
    timeout: o.timeout,
    data: 'x'.repeat(o.bytes) || 'hello',
    callback: { transport: 'http', method: 'post', uri: o.cb },
  })
  const cache = new Map()
  const raw = u => {
    let r = cache.get(u)
    if (!r) {
      r = post(u, body)
      cache.set(u, r)
    }
    return r
  }
  const t0 = performance.now()
  let sent = 0
  let next, deadlineMs
  if (o.cancel) {
    const ids = fs.readFileSync(o.cancel, 'utf8').split('\n').filter(Boolean)
    next = u => (sent < ids.length ? { raw: del(u, ids[sent++]), ctx: 0 } : null)
  } else {
    if (!o.n) deadlineMs = o.secs * 1000
    next = u => {
      if (o.n && sent >= o.n) return null
      sent++
      return { raw: raw(u), ctx: 0 }
    }
  }
  await run(bases, {
    conns: o.conns,
    next,
    deadlineMs,
    dead: () => deadN++,
    done: (code, head, low, ms) => {
      lat.push(ms)
      codes[code] = (codes[code] || 0) + 1
      if (o.ids && code === 201) locs.push(hdr(head, low, 'location'))
    },
  })
  const secs = (performance.now() - t0) / 1000
  const s = stats(lat)
  if (o.ids) fs.writeFileSync(o.ids, `${locs.join('\n')}\n`)
  console.log(
    JSON.stringify({
      op: o.cancel ? 'cancel' : 'create',
      rps: Math.round(lat.length / secs),
      n: lat.length,
      secs: +secs.toFixed(2),
      p50: s.p50,
      p90: s.p90,
      p99: s.p99,
      max: s.max,
      codes,
      dropped: deadN,
    }),
  )
})()
