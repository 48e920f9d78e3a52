/** What the `state` command needs, in one place. */
export {
  type EntityDetails,
  type EntitySummary,
  listEntities,
  openState,
  type StateDirectory,
  showEntity,
} from './state.js'
export { exportState, type ImportResult, importState } from './state-transfer.js'
export { type Problem, verify } from './state-verify.js'
