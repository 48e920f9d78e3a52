/** Puts the uploads of one node together: where files go, and what it can reach of where they went. */
import type { Config, DataDirectory } from '../config/index.js'
import { createLog } from '../log.js'
import type { Clock, Partitions } from '../partitions/index.js'
import {
  diskStorage,
  ringStorage,
  s3Storage,
  UploadLinks,
  type UploadPlace,
  type UploadStorage,
  Uploads,
} from '../uploads/index.js'

export interface NodeUploads {
  readonly uploads: Uploads
  stop(): void
}

/** Before the partitions start: files that are due to go have to find who removes them. */
export async function openUploads(
  config: Config,
  directory: DataDirectory,
  partitions: Partitions,
  clock: Clock,
): Promise<NodeUploads> {
  const s3 = config.s3 && (await s3Storage(config.s3))
  const storages = new Map<UploadPlace, UploadStorage>([
    ['ring', ringStorage(partitions)],
    ['disk', diskStorage({ folder: directory.uploadsPath, sync: config.storage.sync })],
  ])
  if (s3) storages.set('s3', s3)
  const uploads = new Uploads({
    runtime: partitions,
    clock,
    log: createLog('interval:uploads'),
    links: new UploadLinks(directory.secrets.server.reveal()),
    storages,
    place: s3 ? 's3' : partitions.cluster ? 'ring' : 'disk',
  })
  return { uploads, stop: () => s3?.close() }
}
