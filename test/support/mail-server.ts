/** A real mail server for tests, on a free port of this machine: keeps what it is sent, and refuses what it is told to. */
import { SMTPServer } from 'smtp-server'
import { eventually } from './eventually.js'
import { freePort } from './ports.js'

/** A mail as it was received. */
export interface ReceivedMail {
  readonly from: string
  readonly to: readonly string[]
  /** Lower-case names, unfolded and decoded values. */
  readonly headers: ReadonlyMap<string, string>
  /** Plain text, decoded. */
  readonly text: string
  /** HTML, decoded. */
  readonly html: string
}

interface Teardown {
  teardown(work: () => unknown): unknown
}

export class MailServer {
  readonly port: number
  readonly mails: ReceivedMail[] = []
  /** What to answer a recipient with, e.g. 550; undefined takes the mail. */
  refuse: (to: string) => number | undefined = () => undefined
  /** Mails are kept, and their receipt is not confirmed before this resolves. */
  confirms: Promise<void> = Promise.resolve()
  readonly #server: SMTPServer

  private constructor(port: number) {
    this.port = port
    this.#server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      disableReverseLookup: true,
      onAuth: ({ username, password }, _session, done) =>
        username === 'user' && password === 'a password'
          ? done(null, { user: 'user' })
          : done(new Error('no')),
      onRcptTo: ({ address }, _session, done) => {
        const code = this.refuse(address)
        done(code === undefined ? null : Object.assign(new Error('Refused'), { responseCode: code }))
      },
      onData: (stream, { envelope }, done) => {
        const chunks: Buffer[] = []
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        stream.on('end', () => {
          const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address
          const to = envelope.rcptTo.map(({ address }) => address)
          this.mails.push({ from, to, ...parsed(Buffer.concat(chunks).toString('utf8')) })
          this.confirms.then(() => done())
        })
      },
    })
    this.#server.on('error', () => undefined)
  }

  static async start(t: Teardown): Promise<MailServer> {
    const server = new MailServer(await freePort())
    await new Promise<void>(resolve => server.#server.listen(server.port, '127.0.0.1', resolve))
    t.teardown(() => server.stop())
    return server
  }

  /** For the environment of a node. */
  get url(): string {
    return `smtp://127.0.0.1:${this.port}`
  }

  /** Waits for a mail to this address, and returns the newest. */
  async received(to: string, count = 1): Promise<ReceivedMail> {
    return await eventually(() => {
      const found = this.mails.filter(mail => mail.to.includes(to))
      const last = found.at(-1)
      if (!last || found.length < count) throw new Error(`${found.length} of ${count} mails to ${to}`)
      return last
    }, 20_000)
  }

  async stop(): Promise<void> {
    await new Promise<void>(resolve => this.#server.close(() => resolve()))
  }
}

/** The first address of the dashboard in a mail: the one behind its button. */
export function linkIn(mail: Pick<ReceivedMail, 'text'>): string {
  const link = /https?:\/\/\S+/.exec(mail.text)?.[0]
  if (!link) throw new Error(`no link in: ${mail.text}`)
  return link
}

function parsed(raw: string): Pick<ReceivedMail, 'headers' | 'text' | 'html'> {
  const { body, headers } = split(raw)
  const boundary = /boundary="([^"]+)"/.exec(headers.get('content-type') ?? '')?.[1]
  const parts = boundary === undefined ? [raw] : body.split(`--${boundary}`).slice(1, -1)
  const find = (type: string): string => {
    for (const part of parts) {
      const inner = split(part.replace(/^\r?\n/, ''))
      if (inner.headers.get('content-type')?.startsWith(type)) {
        return decoded(inner.body, inner.headers.get('content-transfer-encoding') ?? '7bit')
      }
    }
    return ''
  }
  return { headers, text: find('text/plain'), html: find('text/html') }
}

function split(raw: string): { headers: Map<string, string>; body: string } {
  const end = /\r?\n\r?\n/.exec(raw)
  const head = raw.slice(0, end?.index ?? raw.length).replace(/\r?\n[ \t]+/g, ' ')
  const headers = new Map<string, string>()
  for (const line of head.split(/\r?\n/)) {
    const at = line.indexOf(':')
    if (at > 0) headers.set(line.slice(0, at).toLowerCase(), decodedWords(line.slice(at + 1).trim()))
  }
  return { headers, body: end ? raw.slice(end.index + end[0].length) : '' }
}

/** `=?UTF-8?Q?…?=` and `=?UTF-8?B?…?=`, RFC 2047. */
function decodedWords(text: string): string {
  return text
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_all, kind: string, word: string) =>
      kind.toLowerCase() === 'b'
        ? Buffer.from(word, 'base64').toString('utf8')
        : quotedPrintable(word.replaceAll('_', ' ')),
    )
}

function decoded(body: string, encoding: string): string {
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString('utf8')
  return encoding === 'quoted-printable' ? quotedPrintable(body.replace(/=\r?\n/g, '')) : body
}

function quotedPrintable(text: string): string {
  const bytes = text.replace(/=([0-9A-F]{2})/gi, (_all, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
