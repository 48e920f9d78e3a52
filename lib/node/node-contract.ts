/** What `run` needs from the node: lib/node/index.ts exports `startNode` of this type. */
import type { Config, DataDirectory } from '../config/index.js'

export interface StartNodeOptions {
  readonly config: Config
  /** Open and locked; whoever called `startNode` closes it after `stop`. */
  readonly directory: DataDirectory
  /** Says what takes long while starting, e.g. "creating the database". */
  progress(line: string): void
}

export interface RunningNode {
  /** Where people reach the dashboard, e.g. `http://127.0.0.1:3000`. */
  readonly address: string
  /** One sentence: how to sign in, or that the first account has to be made. */
  readonly howToSignIn?: string
  /** Settles when the node can no longer go on by itself, e.g. because its database process will not start again. */
  readonly failed?: Promise<Error>
  /** Drains and stops. */
  stop(): Promise<void>
}

export type StartNode = (options: StartNodeOptions) => Promise<RunningNode>
