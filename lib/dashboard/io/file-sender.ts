/**
 * Sends one file to where it is kept, by PUT, with progress. `XMLHttpRequest`, since `fetch` does not tell how much has
 * been sent.
 *
 * What can go wrong: the connection breaks, or a node goes down, half-way. It is tried again by itself, to the same place
 * (a node that has the file whole says `conflict`, and that is success); then the person is asked.
 */

export interface Sending {
  done: Promise<void>
  abort: () => void
}

export interface Destination {
  url: string
  headers: Readonly<Record<string, string>>
  /** Ours: tried again, and its refusals are read. */
  isOurs: boolean
}

/** Why a file was not sent, in words for the person. */
export class NotSent extends Error {
  /** False: only a new place can help. */
  readonly isPlaceGood: boolean

  constructor(message: string, isPlaceGood = true) {
    super(message)
    this.isPlaceGood = isPlaceGood
  }
}

const triesMax = 4
const againMs = 1_000

export function sendFile(file: File, to: Destination, onProgress: (part: number) => void): Sending {
  let current: XMLHttpRequest | null = null
  let isAborted = false
  const run = async () => {
    for (let tries = 1; ; tries++) {
      current = new XMLHttpRequest()
      const outcome = await put(current, file, to, onProgress)
      if (outcome === null) return
      const mayRetry = to.isOurs && outcome.isPassing && tries < triesMax && !isAborted
      if (!mayRetry) throw new NotSent(outcome.message, outcome.isPlaceGood)
      await new Promise(resolve => setTimeout(resolve, againMs * tries))
      if (isAborted) throw new NotSent('Cancelled.')
    }
  }
  return {
    done: run(),
    abort: () => {
      isAborted = true
      current?.abort()
    },
  }
}

interface Failure {
  message: string
  /** It may work in a moment. */
  isPassing: boolean
  isPlaceGood: boolean
}

/** Null when it arrived. */
function put(
  request: XMLHttpRequest,
  file: File,
  { url, headers, isOurs }: Destination,
  onProgress: (part: number) => void,
): Promise<Failure | null> {
  return new Promise(resolve => {
    request.upload.onprogress = event => {
      if (event.lengthComputable && event.total > 0) onProgress(event.loaded / event.total)
    }
    request.onload = () => {
      const { status } = request
      // Ours says `conflict` when it has it already: the answer to an earlier try got lost.
      if ((status >= 200 && status < 300) || (isOurs && status === 409 && isConflict(request)))
        return resolve(null)
      const words = (isOurs && messageOf(request)) || `The place it was sent to answered ${status}.`
      const isPassing = status >= 500 && status !== 507
      resolve({ message: words, isPassing, isPlaceGood: ![403, 404, 413, 400].includes(status) })
    }
    const broken: Failure = {
      message: isOurs
        ? 'The connection broke off.'
        : 'It could not be sent to where it is kept: the place cannot be reached, or does not allow it.',
      isPassing: true,
      isPlaceGood: true,
    }
    request.onerror = () => resolve(broken)
    request.onabort = () => resolve({ ...broken, isPassing: false })
    try {
      request.open('PUT', url)
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value)
      request.send(file)
    } catch {
      resolve({ ...broken, isPassing: false })
    }
  })
}

function bodyOf(request: XMLHttpRequest): Record<string, unknown> {
  try {
    const body: unknown = JSON.parse(request.responseText)
    return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function isConflict(request: XMLHttpRequest): boolean {
  return bodyOf(request).code === 'conflict'
}

function messageOf(request: XMLHttpRequest): string {
  const { message } = bodyOf(request)
  return typeof message === 'string' ? message : ''
}
