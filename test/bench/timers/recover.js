'use strict'
// kill -9 + restart: node recover.js URL --cmd='exec node server.js ...' [--n=100000] [--timeout=3600000] [--fire=0|1]
// Starts the server with --cmd, creates n timers, kills it with SIGKILL, starts it again, and reports the time until GET /ping is 200, how many timers are cancellable afterwards (sampled), and with --fire how many called back
const { spawn, spawnSync } = require('node:child_process')
const http = require('node:http')
const fs = require('node:fs')
const { args } = require('./rawclient')
const o = args({ n: 100000, timeout: 3600000, sample: 1000, port: 22052 })
const base = o._[0]
const sl = ms => new Promise(s => setTimeout(s, ms))
const ping = () =>
  new Promise(s => {
    const q = http.get(`${base}/ping`, { timeout: 500, agent: false }, r => {
      r.resume()
      s(r.statusCode === 200)
    })
    q.on('error', () => s(false))
    q.on('timeout', () => q.destroy())
  })
const start = async () => {
  const t = performance.now()
  const c = spawn('sh', ['-c', o.cmd], { stdio: 'ignore' })
  while (!(await ping())) await sl(10)
  return [c, performance.now() - t]
}
;(async () => {
  const ids = require('node:path').join(require('node:os').tmpdir(), `.recover-${process.pid}`)
  const [c, cold] = await start()
  const r = JSON.parse(
    String(
      spawnSync(process.execPath, [
        `${__dirname}/load.js`,
        base,
        `--n=${o.n}`,
        `--timeout=${o.timeout}`,
        `--ids=${ids}`,
      ]).stdout,
    ),
  )
  const x = new Promise(s => c.once('exit', s))
  c.kill('SIGKILL')
  await x
  const [d, warm] = await start()
  const all = fs.readFileSync(ids, 'utf8').split('\n').filter(Boolean)
  const step = Math.max(1, Math.floor(all.length / o.sample))
  fs.writeFileSync(ids, `${all.filter((_, i) => i % step === 0).join('\n')}\n`)
  const k = JSON.parse(
    String(spawnSync(process.execPath, [`${__dirname}/load.js`, base, `--cancel=${ids}`]).stdout),
  )
  d.kill('SIGKILL')
  fs.unlinkSync(ids)
  console.log(
    JSON.stringify({
      op: 'recover',
      n: o.n,
      created: r.codes,
      create_rps: r.rps,
      cold_start_ms: Math.round(cold),
      restart_ms: Math.round(warm),
      recovery_extra_ms: Math.round(warm - cold),
      cancel_sample: k.codes,
    }),
  )
})()
