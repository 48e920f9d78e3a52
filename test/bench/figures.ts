/** What a benchmark prints: one JSON line a figure, with the reference measured in the same run. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
  readonly reference: number
  /** What `value` must not pass, or what `ratio` must reach. */
  readonly target: string
}

export function print(figure: Figure): void {
  const { name, unit, target } = figure
  const value = rounded(figure.value)
  const reference = rounded(figure.reference)
  const ratio = rounded(figure.value / figure.reference)
  process.stdout.write(`${JSON.stringify({ name, value, unit, reference, ratio, target })}\n`)
}

function rounded(value: number): number {
  return Number(value.toPrecision(4))
}

/** The value below which this fraction of the samples lies. */
export function percentile(samples: readonly number[], fraction: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))] ?? 0
}

/** Resident memory of a process, in KB. */
export function residentKb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
}

/** Processor time that a process with all its threads has used, in ms. */
export function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  // The kernel counts in hundredths of a second, whatever its own clock does (proc(5), fields 14 and 15).
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** Starts another file of this folder as a process; resolves when it has printed a first line. */
export async function startPart(
  file: string,
  words: readonly string[],
  flags: readonly string[] = [],
): Promise<{ child: ChildProcess; firstLine: string }> {
  const path = fileURLToPath(new URL(`./${file}`, import.meta.url))
  const child = spawn(process.execPath, [...flags, path, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
  const firstLine = await new Promise<string>((resolve, reject) => {
    let text = ''
    child.stdout.on('data', (data: Buffer) => {
      text += data.toString()
      if (text.includes('\n')) resolve(text.trim())
    })
    child.once('exit', code => reject(new Error(`${file} ended with ${code} before it was ready`)))
  })
  return { child, firstLine }
}

export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
