// Starts servers for tests: a stockd node or a redis-server of one's own, in a temporary directory, on a free loopback port.
//
//   await using node = await startNode({ args: ['--appendfsync', 'always'] })
//   await using client = await node.connect()
//
// Every server dies with the process that started it, also when that is killed.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { eventually, within } from './eventually.ts'
import { freePort } from './port.ts'
import { RawClient } from './raw-client.ts'
import { tempDir } from './temp-dir.ts'

export const STOCKD = fileURLToPath(new URL('../../bin/stockd.js', import.meta.url))
export const STOCKD_AOF = fileURLToPath(new URL('../../bin/stockd-aof.js', import.meta.url))

const START_MS = 20_000
const STOP_MS = 20_000

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export class Server {
  readonly port: number
  readonly dir: string
  /** How the process ended, once it has. */
  readonly exited: Promise<Exit>
  readonly #child: ChildProcess
  readonly #logFile: string
  /** How clients speak TLS to it; null: they do not. */
  readonly #tls: ConnectionOptions | null
  exit: Exit | null = null

  constructor(child: ChildProcess, port: number, dir: string, logFile: string, tls: ConnectionOptions | null = null) {
    this.#tls = tls
    this.#child = child
    this.port = port
    this.dir = dir
    this.#logFile = logFile
    this.exited = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code, signal) => {
        this.exit = { code, signal }
        running.delete(this)
        resolve(this.exit)
      })
    })
    this.exited.catch(() => {}) // A server that cannot be spawned is reported by whoever waits for it.
    running.add(this)
  }

  get pid(): number {
    const { pid } = this.#child
    if (pid === undefined) throw new Error('the server could not be spawned')
    return pid
  }

  /** All that the process has printed so far. */
  log(): string {
    return readFileSync(this.#logFile, 'utf8')
  }

  connect(): Promise<RawClient> {
    return RawClient.connect(this.port, '127.0.0.1', this.#tls)
  }

  signal(signal: NodeJS.Signals): void {
    if (this.exit === null) process.kill(this.pid, signal)
  }

  /** SIGTERM, and how it ended. Kills and throws if it does not stop in time. */
  async stop(): Promise<Exit> {
    this.signal('SIGTERM')
    try {
      return await within(`stop of process ${this.pid}`, this.exited, STOP_MS)
    } catch (error) {
      await this.kill9()
      throw error
    }
  }

  /** SIGKILL: as if the process had crashed. */
  async kill9(): Promise<void> {
    this.signal('SIGKILL')
    await this.exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill9()
  }
}

const running = new Set<Server>()

/** Ends what a test file left running. */
export async function killServers(): Promise<void> {
  await Promise.all([...running].map((server) => server.kill9()))
}

process.once('exit', () => {
  for (const server of running) server.signal('SIGKILL')
})

export interface NodeOptions {
  /** Flags beside --port, --bind and --dir. */
  readonly args?: readonly string[]
  /** Data directory: a new one by default. Give an earlier node's `dir` to restart it. */
  readonly dir?: string
  readonly port?: number
  readonly env?: Readonly<Record<string, string>>
  /** Commands to put before `node`, e.g. `['taskset', '-c', '1']` or `['strace', ...]`. */
  readonly wrap?: readonly string[]
  /** Another stockd.js than the checkout's. */
  readonly program?: string
  /** Flags of Node itself. */
  readonly execArgv?: readonly string[]
  /** How long the log may take to load. */
  readonly startMs?: number
  /** It speaks nothing but TLS; clients connect with this. `args` has its certificate. */
  readonly tls?: ConnectionOptions
}

/** A stockd node that answers PING (its log is loaded). */
export async function startNode(options: NodeOptions = {}): Promise<Server> {
  const dir = options.dir ?? tempDir()
  return start(
    'stockd',
    dir,
    options.port,
    options.startMs ?? START_MS,
    (port) => [
      ...(options.wrap ?? []),
      process.execPath,
      ...(options.execArgv ?? []),
      options.program ?? STOCKD,
      ...(options.tls === undefined ? ['--port', String(port)] : ['--port', '0', '--tls-port', String(port)]),
      ...['--bind', '127.0.0.1', '--dir', dir],
      ...(options.args ?? []),
    ],
    // A file of 64 MiB for every node of every test would be all that the disk does.
    { env: { STOCKD_AOF_BALLAST: '0', ...options.env }, tls: options.tls ?? null },
  )
}

export interface RedisOptions {
  readonly args?: readonly string[]
  readonly dir?: string
  readonly port?: number
  readonly wrap?: readonly string[]
  readonly startMs?: number
}

/** A redis-server that answers PING: no persistence unless `args` say so. */
export async function startRedis(options: RedisOptions = {}): Promise<Server> {
  const dir = options.dir ?? tempDir()
  return start('redis', dir, options.port, options.startMs ?? START_MS, (port) => [
    ...(options.wrap ?? []),
    'redis-server',
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'no', '--daemonize', 'no'],
    ...(options.args ?? []),
  ])
}

/** Whether a program is there to be run: tests that need it skip with a reason when it is not. */
export function hasProgram(name: string): boolean {
  return (process.env.PATH ?? '').split(':').some((dir) => existsSync(join(dir, name)))
}

/** `describe.skipIf(!HAS_REDIS)`: a comparison needs somebody to compare with. */
export const HAS_REDIS = hasProgram('redis-server')

async function start(
  name: string,
  dir: string,
  wanted: number | undefined,
  startMs: number,
  commandFor: (port: number) => readonly string[],
  { env = {}, tls = null }: { env?: Readonly<Record<string, string>>; tls?: ConnectionOptions | null } = {},
): Promise<Server> {
  for (let attempt = 1; ; attempt++) {
    const port = wanted ?? (await freePort())
    const logFile = join(tempDir(), `${name}.log`)
    const server = launch(commandFor(port), env, (child) => new Server(child, port, dir, logFile, tls), logFile)
    try {
      await eventually(
        `${name} on port ${port} to answer PING`,
        async () => {
          if (server.exit !== null) return true
          await using client = await server.connect()
          return /^\+PONG|^-NOAUTH/.test((await client.command('PING')).toString('latin1'))
        },
        startMs,
      )
    } catch (error) {
      await server.kill9()
      throw new Error(`${name} did not start. It printed:\n${server.log()}`, { cause: error })
    }
    if (server.exit === null) return server
    const printed = server.log()
    // Between finding a free port and listening on it another process may have taken it.
    if (wanted === undefined && attempt < 5 && /EADDRINUSE|in use/i.test(printed)) continue
    throw new Error(`${name} ended at its start (code ${server.exit.code}, signal ${server.exit.signal}). It printed:\n${printed}`)
  }
}

function launch(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  serverOf: (child: ChildProcess) => Server,
  logFile: string,
): Server {
  const whole = process.platform === 'linux' && hasProgram('setpriv') ? ['setpriv', '--pdeathsig', 'KILL', '--', ...command] : command
  const output = openSync(logFile, 'a')
  try {
    const child = spawn(whole[0], whole.slice(1), { stdio: ['ignore', output, output], env: { ...process.env, ...env } })
    const server = serverOf(child)
    if (child.pid === undefined) throw new Error(`cannot run ${whole[0]}`)
    return server
  } finally {
    closeSync(output)
  }
}
