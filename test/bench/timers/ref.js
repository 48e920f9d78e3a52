'use strict'
// physical reference: bare node:http answering 201/202 with empty body. node ref.js PORT [--body] (with --body it also reads and JSON.parses the request body)
const http = require('node:http')
const parse = process.argv.includes('--body')
let n = 0
http
  .createServer((q, r) => {
    const end = () => {
      r.statusCode = q.method === 'DELETE' ? 202 : 201
      r.setHeader('location', `/timer/${++n}`)
      r.end()
    }
    if (!parse) return end()
    let s = ''
    q.setEncoding('utf8')
    q.on('data', d => {
      s += d
    })
    q.on('end', () => {
      if (s) JSON.parse(s)
      end()
    })
  })
  .listen(+process.argv[2], '127.0.0.1')
