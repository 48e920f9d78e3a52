/**
 * Files as records of the ring, in pieces of `uploadChunkBytes`: what is acknowledged is on every copy, and any node
 * gives it back. A few pieces are on their way at once, the next goes when one of them is safe: so a file takes no more
 * of the ring's queues than those, and the browser is slowed down instead.
 */
import { AppError } from '../errors.js'
import { limits } from '../limits.js'
import type { EntityRuntime } from '../partitions/index.js'
import { type ChunkMessage, chunkKey } from './chunk.js'
import type { ByteStorage } from './storage.js'

/** Of one file, being written or read. */
const piecesAtOnceMax = 4
const inTime = { deadlineMs: limits.clientCallMsMax, isRefusable: true }

export function ringStorage(runtime: Pick<EntityRuntime, 'send'>): ByteStorage {
  const drop = async (id: string, attempt: number, size: number): Promise<void> => {
    for (let index = 0; index < chunksOf(size); index += 1) {
      await runtime.send(chunkKey(id, attempt, index), { type: 'drop' } satisfies ChunkMessage, inTime)
    }
  }
  return {
    isDirect: false,
    bytesMax: limits.uploadBytesMax,
    async write({ id, size }, attempt, bytes) {
      const writing = new Set<Promise<void>>()
      let index = 0
      try {
        for await (const piece of inPieces(bytes)) {
          const message: ChunkMessage = { type: 'put', id, attempt, base64: piece.toString('base64') }
          const written = runtime.send<void>(chunkKey(id, attempt, index), message, inTime)
          writing.add(written)
          // Who waits for all hears of a failure; this one is only not to go unheard meanwhile.
          written.then(() => writing.delete(written)).catch(() => undefined)
          index += 1
          if (writing.size >= piecesAtOnceMax) await Promise.race(writing)
        }
        await Promise.all(writing)
      } catch (error) {
        // What stays, or is still being written, goes with the upload.
        drop(id, attempt, size).catch(() => undefined)
        throw error
      }
    },
    async *read({ id, size }, attempt) {
      const ask = (index: number): Promise<{ base64: string }> =>
        runtime.send(chunkKey(id, attempt, index), { type: 'get' } satisfies ChunkMessage, inTime)
      const count = chunksOf(size)
      const coming: Promise<{ base64: string }>[] = []
      for (let index = 0, next = 0; index < count; index += 1) {
        for (; next < count && coming.length < piecesAtOnceMax; next += 1) {
          const wanted = next
          const piece = again(() => ask(wanted))
          piece.catch(() => undefined)
          coming.push(piece)
        }
        const piece = await coming.shift()
        if (piece) yield Buffer.from(piece.base64, 'base64')
      }
    },
    async remove({ attempts, id, size }) {
      for (let attempt = 1; attempt <= attempts; attempt += 1) await drop(id, attempt, size)
    },
  }
}

function chunksOf(size: number): number {
  return Math.ceil(size / limits.uploadChunkBytes)
}

/** What comes in whatever pieces, in pieces of one size; the last may be smaller. */
async function* inPieces(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = []
  let length = 0
  for await (const piece of bytes) {
    waiting.push(piece)
    length += piece.length
    if (length < limits.uploadChunkBytes) continue
    let whole = Buffer.concat(waiting)
    while (whole.length >= limits.uploadChunkBytes) {
      yield whole.subarray(0, limits.uploadChunkBytes)
      whole = whole.subarray(limits.uploadChunkBytes)
    }
    waiting = [whole]
    length = whole.length
  }
  if (length > 0) yield Buffer.concat(waiting)
}

/** A leader may be dying while one reads: its successor is there within two seconds. */
async function again<Result>(ask: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await ask()
    } catch (error) {
      if (tries >= 3 || !(error instanceof AppError) || !error.kind.retryable) throw error
    }
  }
}
