'use strict'
// memory per pending timer: node mem.js URL[,URL] --pids=1,2,3 [--n=100000] [--bytes=0]
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const { args } = require('./rawclient')
const o = args({ n: 100000, bytes: 0 })
const pids = String(o.pids).split(',')
const rss = () =>
  pids.reduce((a, p) => a + +/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${p}/status`, 'utf8'))[1] / 1024, 0)
const a = rss()
const r = spawnSync(process.execPath, [`${__dirname}/load.js`, o._[0], `--n=${o.n}`, `--bytes=${o.bytes}`])
const wait = +(o.wait || 3000)
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, wait)
const b = rss()
console.log(
  JSON.stringify({
    op: 'mem',
    before_mb: +a.toFixed(1),
    after_mb: +b.toFixed(1),
    delta_mb: +(b - a).toFixed(1),
    bytes_per_timer: Math.round(((b - a) * 1048576) / o.n),
    create: JSON.parse(String(r.stdout)),
  }),
)
