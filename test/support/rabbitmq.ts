// A RabbitMQ of one's own: on free loopback ports, in a temporary directory, gone with the process that started it.
//
//   const rabbit = await startRabbitMq()                 // in beforeAll; takes 5 to 20 s
//   rabbit.url                                           // amqp://guest:guest@127.0.0.1:41234
//   await rabbit.kill9(); await rabbit.start()           // the same directory and port
//   await rabbit.stop(); rabbit.wipe(); await rabbit.start()
//   await rabbit.ctl('add_user', 'seller', 'secret')

import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { eventually, within } from './eventually.ts'
import { freePort } from './port.ts'
import { tempDir } from './temp-dir.ts'

// Debian's wrapper in /usr/sbin changes the user and refuses others; these do not.
export const RABBITMQ_BIN = '/usr/lib/rabbitmq/bin'
const START_MS = 90_000
const STOP_MS = 20_000

/** `describe.skipIf(!HAS_RABBITMQ)`: a test with its own broker needs the program (programs.ts installs it, or fails where it must be there). */
export const HAS_RABBITMQ = existsSync(join(RABBITMQ_BIN, 'rabbitmq-server'))

export interface RabbitMqOptions {
  /** Lines of rabbitmq.conf beside those for ports, logs and memory. */
  readonly conf?: readonly string[]
}

/** A broker that takes connections. It is killed when the test file ends. */
export async function startRabbitMq(options: RabbitMqOptions = {}): Promise<RabbitMq> {
  const ports = [await freePort(), await freePort(), await freePort()] as const
  const rabbit = new RabbitMq(tempDir(), ports, options.conf ?? [])
  await rabbit.start()
  return rabbit
}

export class RabbitMq {
  readonly dir: string
  readonly port: number
  readonly #epmdPort: number
  readonly #distPort: number
  #epmd: ChildProcess | null = null
  #server: ChildProcess | null = null

  constructor(dir: string, [port, epmdPort, distPort]: readonly [number, number, number], conf: readonly string[]) {
    this.dir = dir
    this.port = port
    this.#epmdPort = epmdPort
    this.#distPort = distPort
    mkdirSync(join(dir, 'home'))
    writeFileSync(join(dir, 'plugins'), '[].\n')
    const lines = [
      `listeners.tcp.1 = 127.0.0.1:${port}`,
      'log.console = true',
      'log.file = false',
      'disk_free_limit.absolute = 50MB',
      'vm_memory_high_watermark.absolute = 512MB',
      ...conf,
    ]
    writeFileSync(join(dir, 'rabbitmq.conf'), `${lines.join('\n')}\n`)
  }

  get url(): string {
    return this.urlFor('guest', 'guest')
  }

  urlFor(user: string, password: string, vhost = '/'): string {
    const path = vhost === '/' ? '' : `/${encodeURIComponent(vhost)}`
    return `amqp://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${this.port}${path}`
  }

  get pid(): number {
    const pid = this.#server?.pid
    if (pid === undefined) throw new Error('RabbitMQ is not running')
    return pid
  }

  get isRunning(): boolean {
    return this.#server !== null
  }

  /** All that the broker has printed so far. */
  log(): string {
    return existsSync(this.#logFile) ? readFileSync(this.#logFile, 'utf8') : ''
  }

  async start(): Promise<void> {
    if (this.#server !== null) throw new Error('RabbitMQ is running')
    running.add(this)
    // An epmd of our own, in the foreground: else Erlang leaves one behind that listens everywhere.
    this.#epmd ??= this.#spawn('epmd', ['-address', '127.0.0.1', '-port', String(this.#epmdPort)], () => (this.#epmd = null))
    const server = this.#spawn(join(RABBITMQ_BIN, 'rabbitmq-server'), [], () => {
      if (this.#server === server) this.#server = null
    })
    this.#server = server
    try {
      await eventually(
        `RabbitMQ to take connections on port ${this.port}`,
        async () => {
          if (this.#server !== server) return 'ended'
          return (await speaksAmqp(this.port)) ? 'ready' : null
        },
        START_MS,
      )
      if (this.#server !== server) throw new Error('RabbitMQ ended at its start')
    } catch (error) {
      const printed = this.log()
      await this.kill9()
      throw new Error(`RabbitMQ did not start. It printed:\n${printed.slice(-8000)}`, { cause: error })
    }
  }

  /** SIGTERM: it closes connections and files in order. */
  async stop(): Promise<void> {
    const server = this.#server
    if (server === null) return
    const ended = exitOf(server)
    server.kill('SIGTERM')
    try {
      await within('RabbitMQ to stop', ended, STOP_MS)
    } catch (error) {
      await this.kill9()
      throw error
    }
  }

  /** SIGKILL: as if the machine had lost it. */
  async kill9(): Promise<void> {
    const server = this.#server
    if (server === null) return
    const ended = exitOf(server)
    server.kill('SIGKILL')
    await ended
  }

  /** SIGSTOP and SIGCONT: a broker that answers nothing, as behind a dead network. */
  freeze(): void {
    this.#server?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#server?.kill('SIGCONT')
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  /** Removes everything that the broker has kept: queues, messages, users. It must be stopped. */
  wipe(): void {
    if (this.#server !== null) throw new Error('stop RabbitMQ first')
    rmSync(join(this.dir, 'mnesia'), { recursive: true, force: true })
  }

  /** rabbitmqctl; takes a second or two. @returns what it printed */
  async ctl(...args: readonly string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(join(RABBITMQ_BIN, 'rabbitmqctl'), ['--quiet', ...args], {
      env: this.environment,
      timeout: 60_000,
      maxBuffer: 64 << 20,
    })
    return stdout
  }

  /** Kills broker and epmd. */
  async end(): Promise<void> {
    this.thaw()
    await this.kill9()
    const epmd = this.#epmd
    if (epmd !== null) {
      const ended = exitOf(epmd)
      epmd.kill('SIGKILL')
      await ended
    }
    running.delete(this)
  }

  endNow(): void {
    this.#server?.kill('SIGKILL')
    this.#epmd?.kill('SIGKILL')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end()
  }

  get #logFile(): string {
    return join(this.dir, 'rabbitmq.log')
  }

  /** What its tools need to find it. */
  get environment(): Record<string, string> {
    const { dir } = this
    return {
      PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin',
      LANG: 'C.UTF-8',
      HOME: join(dir, 'home'),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      ERL_EPMD_PORT: String(this.#epmdPort),
      // The start script then becomes the broker instead of its parent: signals reach it.
      RUNNING_UNDER_SYSTEMD: '1',
      RABBITMQ_CONF_ENV_FILE: '/dev/null',
      RABBITMQ_NODENAME: `t${this.port}@localhost`,
      RABBITMQ_DIST_PORT: String(this.#distPort),
      RABBITMQ_MNESIA_BASE: join(dir, 'mnesia'),
      RABBITMQ_LOG_BASE: dir,
      RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, 'plugins'),
      RABBITMQ_CONFIG_FILE: join(dir, 'rabbitmq'),
      RABBITMQ_GENERATED_CONFIG_DIR: join(dir, 'gen'),
      RABBITMQ_SCHEMA_DIR: join(dir, 'schema'),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1} +sbwt none',
    }
  }

  #spawn(program: string, args: readonly string[], onExit: () => void): ChildProcess {
    const whole = process.platform === 'linux' ? ['setpriv', '--pdeathsig', 'KILL', '--', program, ...args] : [program, ...args]
    const output = openSync(this.#logFile, 'a')
    try {
      const child = spawn(whole[0], whole.slice(1), { stdio: ['ignore', output, output], env: this.environment })
      child.once('exit', onExit)
      child.once('error', onExit)
      return child
    } finally {
      closeSync(output)
    }
  }
}

const running = new Set<RabbitMq>()

/** Ends what a test file left running. */
export async function endRabbitMqs(): Promise<void> {
  await Promise.all([...running].map((rabbit) => rabbit.end()))
}

process.once('exit', () => {
  for (const rabbit of running) rabbit.endNow()
})

function exitOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve()
  return new Promise((resolve) => child.once('exit', () => resolve()))
}

/** The port opens last in RabbitMQ's start; a broker that greets is one that serves. */
function speaksAmqp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const end = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(2000, () => end(false))
    socket.once('error', () => end(false))
    socket.once('connect', () => socket.write('AMQP\0\0\x09\x01'))
    socket.once('data', () => end(true))
    socket.once('end', () => end(false))
  })
}
