/** The answer of an HTTP request as text, of which no more is held than wanted: who answers may send without end. */

/** Rejects when there is more than `bytesMax`, or the answer breaks off. The rest is not read then. */
export async function answerText(response: Response, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  if (response.body === null) return ''
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength
    // Leaving the loop ends the stream, and with it the connection.
    if (bytes > bytesMax) throw new RangeError(`The answer has more than ${bytesMax} bytes.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
