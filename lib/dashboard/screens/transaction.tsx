export default function TransactionScreen(_: {
  place: import('../../clients/wire.js').Place
  transactionId: string
}) {
  return null
}
