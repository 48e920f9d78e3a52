/**
 * Files in a bucket of S3, or of anything that speaks as S3 does. Browsers send and hosts read by pre-signed links; no
 * byte passes through a node. A link to send is bound to object, type and length: another one is refused by the store.
 *
 * What can go wrong: the bucket does not allow the dashboard's origin (the browser then cannot send, and says so), or a
 * file is sent and never confirmed. What is left of that goes when its upload is given up.
 */
import type { S3Client } from '@aws-sdk/client-s3'
import { AppError } from '../errors.js'
import { limits } from '../limits.js'
import type { Secret } from '../log.js'
import { fileHeaders } from './file-types.js'
import { isUploadId } from './links.js'
import type { DirectStorage } from './storage.js'

export interface S3Options {
  readonly bucket: string
  readonly region: string
  /** Of another store than Amazon's. */
  readonly endpoint: string | null
  /** Null: the default chain (environment, files, the role of the machine). */
  readonly credentials: { readonly keyId: string; readonly secret: Secret } | null
}

/** A host follows the link at once; it is made anew at each reading. */
const readLinkMs = 300_000
const folder = 'uploads'
const answerMsMax = 10_000

/** Loads the client: only who has S3 pays for it. */
export async function s3Storage(options: S3Options): Promise<DirectStorage & { close(): void }> {
  // What versions that are not installed will need is no news for operators.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'
  const [aws, { getSignedUrl }] = await Promise.all([
    import('@aws-sdk/client-s3'),
    import('@aws-sdk/s3-request-presigner'),
  ])
  const { bucket, credentials, endpoint, region } = options
  const client: S3Client = new aws.S3Client({
    region,
    // As the original; other stores know no other form.
    forcePathStyle: true,
    ...(endpoint !== null && { endpoint }),
    ...(credentials && {
      credentials: { accessKeyId: credentials.keyId, secretAccessKey: credentials.secret.reveal() },
    }),
    // A checksum of what a browser has yet to send cannot be signed.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
  const objectOf = (id: string): { Bucket: string; Key: string } => {
    if (!isUploadId(id)) throw new Error('not an upload')
    return { Bucket: bucket, Key: `${folder}/${id}` }
  }
  const asked = async <Result>(ask: (options: { abortSignal: AbortSignal }) => Promise<Result>) => {
    try {
      return await ask({ abortSignal: AbortSignal.timeout(answerMsMax) })
    } catch (error) {
      if (isMissing(error)) return null
      throw new AppError('unavailable', 'The store for files does not answer as it should.', { cause: error })
    }
  }

  return {
    isDirect: true,
    bytesMax: limits.uploadS3BytesMax,
    async target({ id, size }, validMs) {
      // Always the same: it is called by its type when it is read.
      const type = 'application/octet-stream'
      const command = new aws.PutObjectCommand({ ...objectOf(id), ContentLength: size, ContentType: type })
      const url = await getSignedUrl(client, command, {
        expiresIn: Math.floor(validMs / 1_000),
        signableHeaders: new Set(['content-length', 'content-type', 'host']),
      })
      return { url, headers: { 'content-type': type } }
    },
    async isThere({ id, size }) {
      const head = await asked(how => client.send(new aws.HeadObjectCommand(objectOf(id)), how))
      return head !== null && head.ContentLength === size
    },
    async readUrl({ id, name, type }) {
      const headers = fileHeaders(name, type)
      const command = new aws.GetObjectCommand({
        ...objectOf(id),
        ResponseContentType: headers['content-type'],
        ResponseContentDisposition: headers['content-disposition'],
      })
      return await getSignedUrl(client, command, { expiresIn: readLinkMs / 1_000 })
    },
    async remove({ id }) {
      await asked(how => client.send(new aws.DeleteObjectCommand(objectOf(id)), how))
    },
    close: () => client.destroy(),
  }
}

function isMissing(error: unknown): boolean {
  const name = error instanceof Error ? error.name : ''
  return name === 'NotFound' || name === 'NoSuchKey'
}
