/** The public face of the database: open it, migrate it, ask it. */
export { DatabaseConfigurations } from './configurations.js'
export { createDatabase } from './create-database.js'
export {
  type Database,
  type DatabaseOptions,
  openDatabase,
  type Queryable,
  violatedConstraint,
} from './database.js'
export { type Migration, type MigrationResult, migrate, readMigrations } from './migrations.js'
export { moveDatabase } from './move.js'
export { storable, storableText } from './storable.js'
