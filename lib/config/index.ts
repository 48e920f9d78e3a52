/** The public face of configuration. */
export {
  type Config,
  type ConfigInput,
  type ConfiguredSecrets,
  defaultsDocument,
  type LoadedConfig,
  loadConfig,
  type Origin,
  type SmtpConfig,
} from './config.js'
export { ConfigurationError } from './configuration-error.js'
export {
  adminSocketPathFor,
  type DataDirectory,
  type DataDirectoryOptions,
  openDataDirectory,
  type Secrets,
} from './data-directory.js'
export { type LockHolder, lockHolderOf } from './directory-lock.js'
export { environmentTable, keyTable, table } from './environment-table.js'
export { environmentNameOf, type Key, type KeyPath, keyOf, keyPaths } from './keys.js'
export { maskAddress } from './mask.js'
export { didYouMean, nearest } from './nearest.js'
export { type Processes, type ProcessIdentity, systemProcesses } from './process-identity.js'
export { type CommandFlag, type CommandLine, errorCode, readCommandLine } from './sources.js'
export { allowedFor, type Values } from './values.js'
