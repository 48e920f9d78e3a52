/**
 * Whatever container engine there is: the one that `DOCKER_HOST` or docker's own settings name, with `docker compose` or
 * docker-compose. Every call is a process whose output is kept for the error.
 */
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { packageRoot } from '../../lib/root.js'

export interface Compose {
  /** Which engine and Compose, for the record. */
  readonly what: string
  /** Runs `docker WORDS`. */
  docker(...words: string[]): Promise<string>
  /** Runs Compose on the project. */
  compose(...words: string[]): Promise<string>
  /** Runs a command in the container of a service, with `input` on its standard input. */
  exec(service: string, words: readonly string[], input?: string): Promise<string>
}

export interface ComposeOptions {
  readonly project: string
  /** Path below the package. */
  readonly file: string
  readonly environment: Readonly<Record<string, string>>
}

/** A reason in words where there is none. */
export function findEngine(options: ComposeOptions): Compose | string {
  const version = firstLine('docker', 'version', '--format', '{{.Server.Version}}')
  if (version === null)
    return 'no container engine answers (docker version failed; DOCKER_HOST names another one)'
  const isPlugin = firstLine('docker', 'compose', 'version', '--short') !== null
  const separate = isPlugin ? null : firstLine('docker-compose', 'version', '--short')
  if (!isPlugin && separate === null)
    return 'there is an engine, but neither `docker compose` nor docker-compose'
  const environment = { ...process.env, ...options.environment }
  const project = ['-p', options.project, '-f', join(packageRoot, options.file)]
  const [program, ...before] = isPlugin ? ['docker', 'compose', ...project] : ['docker-compose', ...project]
  const composeWords = (...words: string[]) => run(program ?? 'docker', [...before, ...words], environment)
  return {
    what: `engine ${version}, ${isPlugin ? 'docker compose' : `docker-compose ${separate}`}`,
    docker: (...words) => run('docker', words, environment),
    compose: composeWords,
    exec: (service, words, input = '') =>
      run(program ?? 'docker', [...before, 'exec', '-T', service, ...words], environment, input),
  }
}

function firstLine(program: string, ...words: string[]): string | null {
  const { status, stdout } = spawnSync(program, words, { encoding: 'utf8', timeout: 20_000 })
  return status === 0 ? (stdout.trim().split('\n')[0] ?? '') : null
}

function run(
  program: string,
  words: readonly string[],
  environment: NodeJS.ProcessEnv,
  input = '',
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { cwd: packageRoot, env: environment, stdio: 'pipe' })
    let output = ''
    let errors = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      output += part
    })
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      errors += part
    })
    child.once('error', reject)
    child.once('close', code => {
      if (code === 0) resolve(output)
      else
        reject(
          new Error(`${program} ${words.join(' ')} ended with ${code}:\n${(output + errors).slice(-4_000)}`),
        )
    })
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
  })
}
