/**
 * Random ids of the browser: UUIDs, since SDKs require that form. `crypto.randomUUID` does not exist on plain http
 * origins, `crypto.getRandomValues` does.
 */
export type RandomBytes = (count: number) => Uint8Array

/** A UUID of version 4 made of 16 random bytes. */
export function uuidFrom(random: RandomBytes): string {
  const bytes = random(16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
