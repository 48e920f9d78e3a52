/** Settings that are each allowed and cannot be together: refused at start, since half a ring is worse than none. */
import type { LoadedConfig } from './config.js'
import { ConfigurationError } from './configuration-error.js'
import type { KeyPath } from './keys.js'

const secretNames = [
  ['server', 'secrets:server', 'SECRET'],
  ['nodes', 'secrets:nodes', 'WSS_API_SECRET'],
  ['cookie', 'secrets:cookie', 'AUTH_COOKIE_SECRET'],
] as const

/** The command that makes a secret anywhere Node runs. */
export const makeSecretCommand = `node -p "crypto.randomBytes(32).toString('base64url')"`

export function refuseContradictions({ config, values }: Pick<LoadedConfig, 'config' | 'values'>): void {
  refuseHalfAnS3(values)
  if (config.seeds.length > 0) {
    if (config.database.url === null) {
      throw new ConfigurationError(
        `seeds = ${config.seeds.join(',')} needs database:url (DATABASE_URL): nodes of a ring share one Postgres database, the embedded one serves a node alone.`,
        'database:url',
      )
    }
    for (const [name, path, variable] of secretNames) {
      if (config.secrets[name] !== null) continue
      throw new ConfigurationError(
        `${path} (${variable}) is missing: with seeds it must be given, equal on all nodes. Make one with: ${makeSecretCommand}`,
        path,
      )
    }
  }
  const { factor, copiesMin } = config.replication
  if (copiesMin > factor) {
    throw new ConfigurationError(
      `replication:min-copies = ${copiesMin} is more than replication:factor = ${factor}: nothing could ever be acknowledged.`,
      'replication:min-copies',
    )
  }
  if (config.mail.smtp !== null && config.mail.postmark !== null) {
    throw new ConfigurationError(
      'Mails go through a mail server (smtp:url, smtp:host) or through Postmark (mail:postmark-key), not both: give one of them.',
      'mail:postmark-key',
    )
  }
  if (values['smtp:url'] !== null && values['smtp:host'] !== null) {
    throw new ConfigurationError(
      'smtp:url and smtp:host both name a mail server: give one of them.',
      'smtp:url',
    )
  }
  const isHalfSlack = (values['slack:client-id'] === null) !== (values['slack:client-secret'] === null)
  if (isHalfSlack) {
    throw new ConfigurationError(
      'slack:client-id (SLACK_CLIENT_ID) and slack:client-secret (SLACK_CLIENT_SECRET) belong together: give both.',
      'slack:client-id',
    )
  }
  if ((values['google:client-id'] === null) !== (values['google:client-secret'] === null)) {
    throw new ConfigurationError(
      'google:client-id and google:client-secret go together: give both or none.',
      'google:client-id',
    )
  }
  const ports: readonly (readonly [KeyPath, number])[] = [
    ['port', config.port],
    ['channel:port', config.channel.port],
    ['forward:port', config.forward.port],
  ]
  for (const [at, [path, port]] of ports.entries()) {
    const other = ports.slice(0, at).find(([, taken]) => taken === port && port !== 0)
    if (other === undefined) continue
    throw new ConfigurationError(`${path} = ${port} is also ${other[0]}: each needs a port of its own.`, path)
  }
}

/** Half of what S3 needs would keep files where nobody expects them. */
function refuseHalfAnS3(values: LoadedConfig['values']): void {
  const needs: readonly (readonly [KeyPath, string, readonly KeyPath[]])[] = [
    ['s3:bucket', 'S3_BUCKET', ['s3:key-id', 's3:key-secret', 's3:region', 's3:endpoint']],
    ['s3:key-id', 'S3_KEY_ID', ['s3:key-secret']],
    ['s3:key-secret', 'S3_KEY_SECRET', ['s3:key-id']],
  ]
  for (const [path, variable, others] of needs) {
    const other = others.find(name => values[name] !== null)
    if (values[path] !== null || other === undefined) continue
    throw new ConfigurationError(
      `${other} is set, and ${path} (${variable}) is missing: set both or none.`,
      path,
    )
  }
  if (values['s3:bucket'] !== null && values['s3:region'] === null && values['s3:endpoint'] === null) {
    throw new ConfigurationError(
      's3:bucket is set, and s3:region (S3_REGION) is missing: say in which region the bucket is.',
      's3:region',
    )
  }
}
