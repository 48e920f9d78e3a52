/** What keeps the bytes of files. Either they pass through a node, or browsers and hosts go there by themselves. */
import type { Upload } from './upload.js'

export type UploadStorage = ByteStorage | DirectStorage

/** Bytes come and go through a node. */
export interface ByteStorage {
  readonly isDirect: false
  /** Largest file, in bytes. */
  readonly bytesMax: number
  /**
   * Resolves when the bytes of this attempt are durable. Rejects, and leaves nothing behind if it can, when `bytes` does;
   * with `storage-full` when there is no room.
   */
  write(upload: Upload, attempt: number, bytes: AsyncIterable<Buffer>): Promise<void>
  /** The bytes of an attempt that was complete. */
  read(upload: Upload, attempt: number): AsyncIterable<Buffer>
  /** Removes all attempts. Again is the same. */
  remove(upload: Upload): Promise<void>
  /** Removes what nobody wants any more, once, at a start. `isKnown` says whether there is such an upload. */
  sweep?(isKnown: (id: string) => Promise<boolean>): Promise<void>
}

/** Bytes go straight to somebody else's store. */
export interface DirectStorage {
  readonly isDirect: true
  readonly bytesMax: number
  /** Where a browser sends the file, and with which headers. */
  target(
    upload: { readonly id: string; readonly size: number },
    validMs: number,
  ): Promise<{ readonly url: string; readonly headers: Readonly<Record<string, string>> }>
  /** True when the file is there with the size that was announced. */
  isThere(upload: Upload): Promise<boolean>
  /** Where the file is read, for a moment. */
  readUrl(upload: Upload): Promise<string>
  remove(upload: Upload): Promise<void>
}
