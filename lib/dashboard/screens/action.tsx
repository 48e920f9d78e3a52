export default function ActionScreen(_: { place: import('../../clients/wire.js').Place; slug: string }) {
  return null
}
