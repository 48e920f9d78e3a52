/** A file system of a given size, in memory, where this user may mount one: to be filled by tests. */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export class SmallDisk {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  get #ballastPath(): string {
    return join(this.path, 'ballast')
  }

  /** The reason where nothing may be mounted. */
  static mount(megabytes: number): SmallDisk | { readonly reason: string } {
    const path = mkdtempSync(join(tmpdir(), 'interval-disk-'))
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path], { stdio: 'pipe' })
    } catch (error) {
      rmSync(path, { recursive: true, force: true })
      const said = error instanceof Error ? (error.message.split('\n').at(-1) ?? '') : String(error)
      return { reason: `no file system may be mounted here: ${said}` }
    }
    return new SmallDisk(path)
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path)
    return bavail * bsize
  }

  /** Fills the disk until so many bytes are free; 0 until nothing more fits. */
  fill(freeBytes: number): void {
    const piece = Buffer.alloc(65_536, 'x')
    const ballast = openSync(this.#ballastPath, 'a')
    try {
      while (this.freeBytes > freeBytes)
        writeSync(ballast, piece, 0, Math.min(piece.length, this.freeBytes - freeBytes))
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
    } finally {
      closeSync(ballast)
    }
  }

  /** Gives back what `fill` has taken. */
  empty(): void {
    rmSync(this.#ballastPath, { force: true })
  }

  unmount(): void {
    execFileSync('umount', ['-l', this.path], { stdio: 'pipe' })
    rmSync(this.path, { recursive: true, force: true })
  }
}
