/** What a node costs and how fast it answers, seen from outside. */
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import pg from 'pg'
import type { BrowserClient } from '../support/browser-client.js'
import type { TestServer } from '../support/server.js'

/** Resident memory of the node, in MB. */
export function memoryMb(server: TestServer): number {
  const pages = Number(readFileSync(`/proc/${server.pid}/statm`, 'utf8').split(' ')[1])
  return (pages * 4_096) / 1_048_576
}

export interface Watch {
  /** Ends the measuring. All in ms and MB. */
  stop(): Promise<{ slowestMs: number; medianMs: number; memoryMbMax: number }>
}

/** Pings through a window again and again and notes how long each took, and the memory meanwhile. */
export function watch(server: TestServer, browser: BrowserClient, everyMs = 25): Watch {
  const tookMs: number[] = []
  let memoryMbMax = 0
  let stopped = false
  const measure = async (): Promise<void> => {
    while (!stopped) {
      const startedMs = performance.now()
      await browser.ask('ping', {})
      tookMs.push(performance.now() - startedMs)
      memoryMbMax = Math.max(memoryMbMax, memoryMb(server))
      await new Promise(resolve => setTimeout(resolve, everyMs))
    }
  }
  const running = measure()
  return {
    async stop() {
      stopped = true
      await running
      tookMs.sort((a, b) => a - b)
      const medianMs = tookMs[Math.floor(tookMs.length / 2)] ?? 0
      return { slowestMs: tookMs.at(-1) ?? 0, medianMs, memoryMbMax }
    },
  }
}

/** Runs a statement in the database of a node that is running. */
export async function query<Row extends pg.QueryResultRow>(
  server: TestServer,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({
    host: `${server.folder}/postgres-socket`,
    user: 'postgres',
    database: 'postgres',
  })
  await client.connect()
  try {
    return (await client.query<Row>(text, [...values])).rows
  } finally {
    await client.end()
  }
}
