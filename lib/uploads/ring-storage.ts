/**
 * Files as records of the ring, in pieces of `uploadChunkBytes`: what is acknowledged is on every copy, and any node
 * gives it back. Pieces are written one after another, each when the one before is safe, so that a file takes no more of
 * the ring's queues than one piece and the browser is slowed down instead.
 */
import { AppError } from '../errors.js'
import { limits } from '../limits.js'
import type { EntityRuntime } from '../partitions/index.js'
import { type ChunkMessage, chunkKey } from './chunk.js'
import type { ByteStorage } from './storage.js'

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
      let index = 0
      try {
        for await (const piece of inPieces(bytes)) {
          const message: ChunkMessage = { type: 'put', id, attempt, base64: piece.toString('base64') }
          await runtime.send(chunkKey(id, attempt, index), message, inTime)
          index += 1
        }
      } catch (error) {
        // What stays goes with the upload.
        drop(id, attempt, size).catch(() => undefined)
        throw error
      }
    },
    async *read({ id, size }, attempt) {
      const ask = (index: number): Promise<{ base64: string }> =>
        runtime.send(chunkKey(id, attempt, index), { type: 'get' } satisfies ChunkMessage, inTime)
      for (let index = 0; index < chunksOf(size); index += 1) {
        const { base64 } = await again(() => ask(index))
        yield Buffer.from(base64, 'base64')
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
