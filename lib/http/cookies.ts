/**
 * The session cookie. Over https it is `Secure` and has the `__Host-` prefix, with which a browser takes it only from
 * this very host; both follow from the address of the installation, never from NODE_ENV.
 */
const plainName = 'interval_session'
const charactersMax = 16_384

export interface SessionCookie {
  readonly name: string
  read(header: string | undefined): string | undefined
  set(token: string, maxAgeMs: number): string
  clear(): string
}

export function sessionCookie(secure: boolean): SessionCookie {
  const name = secure ? `__Host-${plainName}` : plainName
  const attributes = `Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`
  return {
    name,
    read: header => readCookie(header, name),
    set: (token, maxAgeMs) => `${name}=${token}; ${attributes}; Max-Age=${Math.floor(maxAgeMs / 1000)}`,
    clear: () => `${name}=; ${attributes}; Max-Age=0`,
  }
}

/** The value of the first cookie of that name. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  if (header === undefined || header.length > charactersMax) return undefined
  for (const part of header.split(';')) {
    const equals = part.indexOf('=')
    if (equals > 0 && part.slice(0, equals).trim() === name) {
      return part
        .slice(equals + 1)
        .trim()
        .replace(/^"(.*)"$/, '$1')
    }
  }
  return undefined
}
