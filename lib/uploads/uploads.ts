/**
 * What people and hosts do with files, on any node: a link is asked for, a file is sent, and read.
 *
 * Who may ask is known to the transaction's owner: the person whose run it is, for a field that takes files, of a step
 * that still waits. Room is taken first, then the transaction remembers what it has allowed, then the upload exists and
 * its links are told. Each of these may be repeated under the same id, and changes nothing then.
 *
 * What can go wrong: a file is sent while its step is answered by another window. It is kept as promised, and belongs to
 * no answer.
 */
import { AppError } from '../errors.js'
import type { EntityKey, OrganizationId } from '../ids.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import type { Clock, EntityRuntime } from '../partitions/index.js'
import type { Asker, Located } from '../transactions/index.js'
import { type FileHeaders, fileHeaders } from './file-types.js'
import type { UploadLinks } from './links.js'
import { type Reserved, spaceKey } from './space.js'
import type { ByteStorage, UploadStorage } from './storage.js'
import { type NewUpload, type Upload, type UploadPlace, type UploadQuestion, uploadKey } from './upload.js'

export interface UploadsOptions {
  readonly runtime: EntityRuntime
  readonly clock: Clock
  readonly log: Log
  readonly links: UploadLinks
  /** What this node can reach. */
  readonly storages: ReadonlyMap<UploadPlace, UploadStorage>
  /** Where new files go. */
  readonly place: UploadPlace
}

export interface UploadsWanted {
  readonly asker: Asker
  /** Where the person and the host reach us: scheme, name and port. */
  readonly origin: string
  readonly transactionId: string
  /** Made by the browser; asked twice, the links are the same. */
  readonly requestId: string
  readonly inputGroupKey: string
  /** Index of the field in its group. */
  readonly component: number
  readonly files: readonly { readonly name: string; readonly type: string; readonly size: number }[]
}

/** What a browser is told of one file. */
export interface UploadGrant {
  readonly id: string
  /** Where to PUT it; without an origin, it is ours. */
  readonly uploadUrl: string
  readonly headers: Readonly<Record<string, string>>
  /** Absolute; what the host reads, and what is answered. */
  readonly downloadUrl: string
  /** Nobody but the browser knows when it has been sent: it is to say so. */
  readonly confirms: boolean
}

export type OpenedFile =
  | { readonly redirect: string }
  | { readonly headers: FileHeaders; readonly size: number; readonly bytes: AsyncIterable<Buffer> }

const inTime = { deadlineMs: limits.clientCallMsMax, isRefusable: true }
/** Questions of uploads that are being asked at once, and those that wait; the others are asked another time. */
const questionsMax = 16
const questionsWaitingMax = 4_096

export class Uploads {
  readonly #options: UploadsOptions
  #receiving = 0
  #sending = 0
  #asking = 0
  readonly #questions: UploadQuestion[] = []

  constructor(options: UploadsOptions) {
    this.#options = options
    const { log, runtime } = options
    runtime.onEffect('upload', {
      dispatch: async ({ payload }) => {
        const upload = payload as unknown as Upload
        const storage = options.storages.get(upload.place)
        if (!storage) return log.warn('upload.not-removed', { upload: upload.id, place: upload.place })
        await storage.remove(upload)
      },
    })
    runtime.onSignal('upload', ({ payload }) => {
      if (this.#questions.length >= questionsWaitingMax) return
      this.#questions.push(payload as UploadQuestion)
      this.#askNext()
    })
  }

  /** Files being received and sent by this node, and questions of uploads that wait. */
  get open(): { readonly receiving: number; readonly sending: number; readonly questions: number } {
    return { receiving: this.#receiving, sending: this.#sending, questions: this.#questions.length }
  }

  /** Removes what has no upload any more, once messages can be answered. */
  async sweep(): Promise<void> {
    for (const storage of this.#options.storages.values()) {
      if (storage.isDirect) continue
      await storage.sweep?.(async id => (await this.#find(id)) !== null)
    }
  }

  /**
   * Links for files that a person has chosen. Rejects with what the transaction says (`forbidden`, `already-answered` …),
   * with `invalid-value` for files it does not take, with `storage-full` when the organization's room is used up.
   */
  async grant(wanted: UploadsWanted): Promise<UploadGrant[]> {
    const { asker, component, files, inputGroupKey, origin, requestId, transactionId } = wanted
    const { links, place, runtime } = this.#options
    const storage = this.#storage(place)
    for (const { name, size } of files) {
      if (size > storage.bytesMax)
        throw invalid(`“${shortName(name)}” is larger than ${inWords(storage.bytesMax)}.`)
    }
    const uploads = files.map((file, index): NewUpload => {
      const id = links.idFor({ transactionId, userId: asker.userId, requestId, index })
      return { id, organizationId: asker.organizationId, transactionId, ...file, place }
    })
    // What somebody else keeps is counted, not weighed.
    const sizes = uploads.map(({ id, size }) => ({ id, bytes: storage.isDirect ? 0 : size }))
    const space = spaceKey(asker.organizationId)
    const { taken } = await runtime.send<Reserved>(space, { type: 'reserve', files: sizes }, inTime)
    const urlOf = (id: string): string => new URL(links.readPath(id), origin).href
    try {
      await runtime.send(
        `transaction:${transactionId}`,
        {
          type: 'allow-uploads',
          asker,
          inputGroupKey,
          component,
          files: uploads.map(({ id, name, size, type }, index) => ({
            id,
            name,
            type,
            size,
            bytes: sizes[index]?.bytes ?? 0,
            url: urlOf(id),
          })),
        },
        inTime,
      )
    } catch (error) {
      if (isRefusal(error)) this.#giveBack(asker.organizationId, taken)
      throw error
    }
    const untilMs = runtime.nowMs() + limits.uploadLinkMs
    const grants: UploadGrant[] = []
    for (const upload of uploads) {
      const { id, size } = upload
      await runtime.send(uploadKey(id), { type: 'create', upload }, inTime)
      const target = storage.isDirect
        ? await storage.target(upload, limits.uploadLinkMs)
        : { url: links.sendPath(id, size, untilMs), headers: {} }
      grants.push({
        id,
        uploadUrl: target.url,
        headers: target.headers,
        downloadUrl: urlOf(id),
        confirms: storage.isDirect,
      })
    }
    return grants
  }

  /** Checks a link to send to, before anything is read. Returns the size that is to come. */
  checkSend(id: string, query: URLSearchParams): number {
    return this.#options.links.checkSend(id, query, this.#options.runtime.nowMs())
  }

  /**
   * Takes a file. Resolves when it is durable and its transaction knows. Rejects with `conflict` when it was sent
   * already, as a browser hears that sends it again because the answer got lost.
   */
  async receive(id: string, size: number, bytes: AsyncIterable<Buffer>): Promise<void> {
    const { runtime } = this.#options
    if (this.#receiving >= limits.uploadsPerNodeMax) throw new AppError('queue-full')
    this.#receiving += 1
    try {
      const upload = await this.#read(id)
      const storage = this.#bytes(upload)
      if (upload.attempt !== null) await this.#tell(upload)
      await runtime.send(
        `transaction:${upload.transactionId}`,
        { type: 'upload-wanted', id } satisfies Wanted,
        inTime,
      )
      const { attempt } = await runtime.send<{ attempt: number }>(uploadKey(id), { type: 'begin' }, inTime)
      await storage.write({ ...upload, attempts: attempt }, attempt, exactly(bytes, size))
      await runtime.send(uploadKey(id), { type: 'finish', attempt }, inTime)
      await this.#tell(upload)
    } finally {
      this.#receiving -= 1
    }
  }

  /** A browser says that it has sent a file to a store that is not ours. Rejects with `not-found` when it is not there. */
  async confirm(asker: Asker, transactionId: string, id: string): Promise<void> {
    const { runtime } = this.#options
    const key: EntityKey = `transaction:${transactionId}`
    await runtime.send(key, { type: 'upload-wanted', id, asker } satisfies Wanted, inTime)
    const upload = await this.#read(id)
    const storage = this.#storage(upload.place)
    if (!storage.isDirect) throw new AppError('not-found')
    if (!(await storage.isThere(upload))) {
      throw new AppError('not-found', 'The file did not arrive whole. Send it again.')
    }
    await runtime.send(uploadKey(id), { type: 'finish', attempt: 1 }, inTime)
    await this.#tell(upload)
  }

  /** A file, for whoever has its link. Rejects with `not-found` when it is not there, or not any more. */
  async openFile(id: string, query: URLSearchParams): Promise<OpenedFile> {
    this.#options.links.checkRead(id, query)
    const upload = await this.#read(id)
    const { attempt, name, size, type } = upload
    if (attempt === null) throw new AppError('not-found', 'This file was not sent yet.')
    const storage = this.#storage(upload.place)
    if (storage.isDirect) return { redirect: await storage.readUrl(upload) }
    if (this.#sending >= limits.uploadsPerNodeMax) throw new AppError('queue-full')
    return { headers: fileHeaders(name, type), size, bytes: this.#counted(storage.read(upload, attempt)) }
  }

  async *#counted(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    this.#sending += 1
    try {
      yield* bytes
    } finally {
      this.#sending -= 1
    }
  }

  /** The transaction takes no answer with a file that it has not been told of. */
  async #tell({ id, transactionId }: Upload): Promise<void> {
    await this.#options.runtime.send(`transaction:${transactionId}`, { type: 'uploaded', id }, inTime)
  }

  #read(id: string): Promise<Upload> {
    return this.#options.runtime.send<Upload>(uploadKey(id), { type: 'read' }, inTime)
  }

  async #find(id: string): Promise<Upload | null> {
    try {
      return await this.#read(id)
    } catch (error) {
      if (error instanceof AppError && error.code === 'not-found') return null
      throw error
    }
  }

  #storage(place: UploadPlace): UploadStorage {
    const storage = this.#options.storages.get(place)
    if (!storage) throw new AppError('unavailable', 'This node cannot reach where the file is kept.')
    return storage
  }

  #bytes(upload: Upload): ByteStorage {
    const storage = this.#storage(upload.place)
    if (storage.isDirect) throw new AppError('not-found')
    return storage
  }

  #giveBack(organizationId: OrganizationId, ids: readonly string[]): void {
    this.#options.runtime
      .send(spaceKey(organizationId), { type: 'release', ids }, inTime)
      .catch((error: unknown) => this.#options.log.debug('upload.room-not-given-back', { error }))
  }

  #askNext(): void {
    while (this.#asking < questionsMax) {
      const question = this.#questions.shift()
      if (!question) return
      this.#asking += 1
      this.#ask(question)
        // It is asked again by the next alarm.
        .catch((error: unknown) => this.#options.log.debug('upload.not-asked', { error }))
        .finally(() => {
          this.#asking -= 1
          this.#askNext()
        })
    }
  }

  async #ask(question: UploadQuestion): Promise<void> {
    const { runtime } = this.#options
    if (question.about === 'run') {
      const { id, transactionId } = question
      const located = await runtime.send<Located>(`transaction:${transactionId}`, { type: 'locate' }, inTime)
      if (located === null || located.hasEnded) await runtime.send(uploadKey(id), { type: 'remove' }, inTime)
      return
    }
    const upload = await this.#find(question.id)
    const isWanted = upload !== null && (upload.attempt ?? question.attempt) === question.attempt
    if (!isWanted) await runtime.send(question.chunk, { type: 'drop' }, inTime)
  }
}

interface Wanted {
  readonly type: 'upload-wanted'
  readonly id: string
  readonly asker?: Asker
}

/** What comes, as long as it is no more and no less than was announced. */
async function* exactly(bytes: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
  let length = 0
  for await (const piece of bytes) {
    length += piece.length
    if (length > size) throw new AppError('too-large', 'The file is larger than was announced.')
    yield piece
  }
  if (length < size) throw new AppError('bad-request', 'The file was cut off.')
}

/** True when the transaction has certainly not taken it. */
function isRefusal(error: unknown): boolean {
  return error instanceof AppError && !error.kind.retryable
}

function invalid(message: string): AppError {
  return new AppError('invalid-value', message)
}

function shortName(name: string): string {
  return name.length > 80 ? `${name.slice(0, 79)}…` : name
}

/** 33554432 is 32 MB. */
function inWords(bytes: number): string {
  const [unit, name] = bytes >= 2 ** 30 ? [2 ** 30, 'GB'] : [2 ** 20, 'MB']
  return `${Math.floor(bytes / unit)} ${name}`
}
