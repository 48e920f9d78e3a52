/**
 * How a file is given back: what somebody has sent is never a page of ours. Nothing that a browser would run is called
 * by its name, and only pictures that cannot hold scripts are shown rather than saved.
 */
const shown: ReadonlySet<string> = new Set([
  'image/png',
  'image/jpeg',
  'image/gif',
  'image/webp',
  'image/avif',
])

const named: ReadonlySet<string> = new Set([
  'application/json',
  'application/pdf',
  'application/zip',
  'application/gzip',
  'text/csv',
  'text/plain',
])

export interface FileHeaders {
  readonly 'content-type': string
  readonly 'content-disposition': string
}

/** What to call a file of this name and type. */
export function fileHeaders(name: string, type: string): FileHeaders {
  const plain = type.split(';')[0]?.trim().toLowerCase() ?? ''
  const isNamed = shown.has(plain) || named.has(plain) || /^(audio|video)\/[a-z0-9.+-]{1,64}$/.test(plain)
  const how = shown.has(plain) ? 'inline' : 'attachment'
  return {
    'content-type': isNamed ? plain : 'application/octet-stream',
    'content-disposition': `${how}; filename="${asciiName(name)}"; filename*=UTF-8''${encodedName(name)}`,
  }
}

/** For those that know no other: what could end the quotes, or a path, is a line. */
function asciiName(name: string): string {
  const ascii = name.replace(/[^A-Za-z0-9 ._()-]/g, '_').replace(/^\.+/, '_')
  return ascii.slice(0, 150) || 'file'
}

function encodedName(name: string): string {
  // Half of a surrogate pair (Cs), as the cut may leave it, would not be text.
  const text = name.slice(0, 150).replace(/[\\/\p{Cc}\p{Cs}]/gu, '_')
  return encodeURIComponent(text).replace(
    /['()*]/g,
    letter => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
