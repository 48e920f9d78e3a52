/** Headers of every answer, and those of the dashboard's page. */
const yearSeconds = 31_536_000

/** For JSON and everything else that is not a page: nothing in it may run, and nobody may keep it. */
export function commonHeaders(secure: boolean): Readonly<Record<string, string>> {
  return {
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'x-frame-options': 'DENY',
    'cross-origin-opener-policy': 'same-origin',
    'content-security-policy':
      "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    'cache-control': 'no-store',
    ...(secure && { 'strict-transport-security': `max-age=${yearSeconds}` }),
  }
}

/**
 * For the dashboard: scripts from here alone. Styles may be inline (positions and sizes are), pictures and videos come
 * from wherever an action says, uploads go to whatever store the host names.
 */
export function pageHeaders(secure: boolean): Readonly<Record<string, string>> {
  const anywhere = secure ? 'https:' : 'https: http:'
  return {
    'content-security-policy': [
      "default-src 'self'",
      "script-src 'self'",
      "style-src 'self' 'unsafe-inline'",
      `img-src 'self' data: blob: ${anywhere}`,
      `media-src 'self' data: blob: ${anywhere}`,
      "font-src 'self' data:",
      `connect-src 'self' ${anywhere}`,
      "frame-src 'self' blob:",
      "worker-src 'self' blob:",
      "object-src 'none'",
      "base-uri 'none'",
      "form-action 'self'",
      "frame-ancestors 'none'",
    ].join('; '),
  }
}
