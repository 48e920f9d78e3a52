/** What the hosts of browser tests are made with, each a process of its own that ends with the test. */

const { DEMO_ENDPOINT: endpoint, DEMO_KEY: apiKey } = process.env
if (!endpoint || !apiKey) throw new Error('DEMO_ENDPOINT and DEMO_KEY must be set')

process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
process.stdin.on('error', () => process.exit(0))

export const hostSettings = { endpoint, apiKey, logLevel: 'quiet', retryIntervalMs: 1_500 } as const
