// The process of a node: options from flags, environment and file; start; signals; exit codes.
//
//   0   stopped as asked (SIGTERM, SIGINT, SHUTDOWN)
//   1   could not start: an option, the port, the directory (one line on stderr says which and what to do)
//   2   stopped, but the log could not be made durable
//   3   the log is damaged or contradicts itself: nothing was changed
//   70  a bug: what is in memory may be wrong, so nothing more is written; the log is the truth

import { AssertionError } from '../base/assert.ts'
import { StockdError } from '../base/error.ts'
import { SystemEnv } from '../server/env.ts'
import { Node } from '../server/node.ts'
import type { ShutdownRequest } from '../server/node.ts'
import type { Options } from '../server/options.ts'
import { misspeltVariables, variableOf } from '../server/options/environment.ts'
import { flagHelp, readFlags } from '../server/options/flags.ts'
import type { Flags } from '../server/options/flags.ts'
import { startOptions } from '../server/options/start.ts'
import { STOCKD_VERSION } from '../server/version.ts'
import { openLog } from '../server/recovery.ts'
import { nodeCommands } from './commands.ts'
import { evidenceFolder } from './evidence-folder.ts'
import { openNodeEndpoint } from './metrics/node-endpoint.ts'
import type { NodeEndpoint } from './metrics/node-endpoint.ts'
import { openFeed, targetOf, wayInWords } from './outbox-feed.ts'
import { weaknessOf } from './node-version.ts'
import { makeSay } from './say.ts'

const EXIT_OK = 0
const EXIT_NOT_STARTED = 1
const EXIT_NOT_DURABLE = 2
const EXIT_DAMAGED = 3
const EXIT_BUG = 70

const HELP_HEAD = `stockd ${STOCKD_VERSION}: a Redis-protocol inventory server

Usage: stockd [file] [--option value ...]

The file is written like redis.conf: one "option value" per line. Every option is also read from the environment,
e.g. STOCKD_APPENDFSYNC for --appendfsync. A flag wins over the environment, which wins over the file.

Options [default]:
`

export async function main(argv: readonly string[]): Promise<void> {
  let options: Options
  let flags: Flags
  try {
    flags = readFlags(argv)
    if (flags.help || flags.version) return print(flags)
    // A title of its own takes the arguments out of the list of processes.
    if (flags.secrets.length > 0) process.title = 'stockd'
    options = startOptions({ flags, environment: process.env })
  } catch (error) {
    return refuse(error)
  }
  await run(options, flags)
}

function print(flags: Flags): void {
  process.stdout.write(flags.version ? `stockd ${STOCKD_VERSION}\n` : `${HELP_HEAD}${flagHelp()}\n`)
}

async function run(options: Options, flags: Flags): Promise<void> {
  const { values } = options
  let node: Node
  let endpoint: NodeEndpoint | null
  try {
    const say = makeSay({ format: values['log-format'], file: values.logfile, level: () => options.values.loglevel })
    for (const line of misspeltVariables(process.env)) say('warning', line)
    const weakness = weaknessOf(process.versions.node)
    if (weakness !== null) say('warning', weakness)
    for (const name of flags.secrets) {
      say(
        'warning',
        `${name} was given as a flag, where every user of this machine could see it: better ${variableOf(name)}, ${variableOf(name)}_FILE or the option file`,
      )
    }
    // An address or certificate that cannot be used is refused before a directory is made, or a long log read.
    if (values.appendonly) targetOf(options)
    stopOnBugs()
    node = new Node({ options, env: new SystemEnv(say), specs: nodeCommands, openLog, openFeed, keepEvidence: evidenceFolder(values.dir) })
    node.onFatal = die
    listenToSignals(node)
    // Before the log is loaded: who balances load hears that it is.
    endpoint = await openNodeEndpoint(node)
    node.onShutdown = (request) => void stop(node, request)
    await node.start()
  } catch (error) {
    return refuse(error)
  }
  welcome(node, endpoint)
}

/** How to reach the node, and what it holds. */
function welcome(node: Node, endpoint: NodeEndpoint | null): void {
  const { values } = node.options
  const { log, env } = node
  if (values['log-format'] === 'text' && values.logfile === '') {
    const isHere = values.bind.some((address) => ['127.0.0.1', '*', '0.0.0.0'].includes(address))
    const host = isHere ? '' : `-h ${values.bind[0].replace(/^-/, '')} `
    const auth = node.acl.defaultUser.isOpen ? '' : ' (a password is set: --askpass)'
    const way = node.port === 0 ? `-p ${node.door.tlsPort} --tls` : `-p ${node.port}`
    const kept = log === null ? 'nothing is kept: appendonly no' : `${values.dir} (appendfsync ${values.appendfsync})`
    process.stdout.write(
      `\n  stockd ${STOCKD_VERSION}  pid ${process.pid}  Node ${process.versions.node}\n` +
        (node.port === 0 ? '' : `    port      ${node.port} on ${values.bind.join(' ')}\n`) +
        (node.door.tlsPort === 0 ? '' : `    TLS port  ${node.door.tlsPort} on ${values.bind.join(' ')}\n`) +
        `    log       ${kept}\n` +
        `    orders    ${log === null ? 'nowhere: appendonly no' : wayInWords(targetOf(node.options))}\n` +
        `    contents  ${node.contents()}\n` +
        `    connect   redis-cli ${host}${way}${auth}\n` +
        (endpoint === null ? '' : `    watch     ${endpoint.url}/metrics  /healthz  /readyz\n`) +
        `    stop      Ctrl-C, kill ${process.pid}, or SHUTDOWN\n\n`,
    )
  }
  env.say('notice', 'ready to accept connections', {
    port: node.port,
    ...(node.door.tlsPort === 0 ? {} : { tls_port: node.door.tlsPort, ...certificateFacts(node) }),
    bind: values.bind.join(' '),
    version: STOCKD_VERSION,
  })
}

/** The first signal asks, the second insists. */
function listenToSignals(node: Node): void {
  let isAsked = false
  const asked = (signal: NodeJS.Signals): void => {
    if (isAsked) {
      node.env.say('warning', `${signal} again: leaving at once`)
      process.exit(EXIT_NOT_DURABLE)
    }
    isAsked = true
    node.env.say('notice', `${signal}: stopping`)
    void stop(node, { nosave: false, force: true, now: false })
  }
  process.on('SIGTERM', asked)
  process.on('SIGINT', asked)
  // A terminal that goes away takes nothing with it.
  process.on('SIGHUP', () => reload(node))
}

/** What files say that may change while the node runs. */
function reload(node: Node): void {
  if (node.door.credentials === null) return
  const reason = node.door.reloadCredentials()
  if (reason !== null) return node.env.say('warning', `SIGHUP: the certificate of before stays in use: ${reason}`)
  node.env.say('notice', 'SIGHUP: new clients get the certificate that was read now', certificateFacts(node))
}

function certificateFacts({ door: { credentials } }: Node): Record<string, string> {
  if (credentials === null) return {}
  return { certificate: credentials.subject, until: new Date(credentials.validUntil).toISOString() }
}

async function stop(node: Node, request: ShutdownRequest): Promise<void> {
  try {
    await node.stop(request)
  } catch (error) {
    node.env.say('warning', `stopped, but not all of the log is durable: ${(error as Error).message}`)
    process.exit(EXIT_NOT_DURABLE)
  }
  node.env.say('notice', 'stopped')
  process.exit(EXIT_OK)
}

/** The node could not start: one line that says what to do. */
function refuse(error: unknown): void {
  if (!(error instanceof StockdError)) return die(error)
  const isDamaged = error.code === 'LOG_CORRUPT' || error.code === 'LOG_SEMANTIC' || error.code === 'LOG_TOO_NEW'
  process.stderr.write(`${error.message.replaceAll(/^/gm, 'stockd: ')}\n`)
  process.exit(isDamaged ? EXIT_DAMAGED : EXIT_NOT_STARTED)
}

/** What is in memory may be wrong: no further byte reaches the log, the next start reads what is true. */
function stopOnBugs(): void {
  process.on('uncaughtException', die)
  process.on('unhandledRejection', die)
}

function die(error: unknown): never {
  if (error instanceof StockdError) {
    process.stderr.write(`stockd: ${error.message}\n`)
    process.exit(EXIT_NOT_DURABLE)
  }
  const what = error instanceof AssertionError ? 'an assertion failed' : 'an unexpected error'
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  process.stderr.write(`stockd: ${what}, stopping so that nothing wrong is written; the log has the truth, please report this:\n${text}\n`)
  process.exit(EXIT_BUG)
}
