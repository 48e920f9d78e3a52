/**
 * Masks the password of an address and every value of its query, since drivers take passwords there too. An address
 * that cannot be parsed is masked altogether.
 */
export function maskAddress(text: string): string {
  if (!URL.canParse(text)) return '***'
  const address = new URL(text)
  const password = address.password === '' ? '' : ':***'
  const person = address.username === '' && password === '' ? '' : `${address.username}${password}@`
  const query = [...address.searchParams.keys()].map(name => `${name}=***`).join('&')
  return `${address.protocol}//${person}${address.host}${address.pathname}${query === '' ? '' : `?${query}`}`
}
