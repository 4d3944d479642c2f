// `npm run redis-suite -- <folder>`: redis-server's own tests, run against stockd.
//
//   git clone --depth 1 --branch 7.0.15 https://github.com/redis/redis redis-7.0.15
//   npm run redis-suite -- redis-7.0.15                     all units of the table, some minutes
//   npm run redis-suite -- redis-7.0.15 unit/scan ...       these
//   npm run redis-suite -- redis-7.0.15 unit/scan --only '/SCAN COUNT'   tests by name, or by a pattern behind a /
//   npm run redis-suite -- redis-7.0.15 --outside           as any server is tested from outside: one node per unit
//
// The suite starts a server for every group of tests, with options of its own: here a node stands in for redis-server (stand-in.ts). With
// --outside it is given a running node, as it is given any server by --host and --port; then a quarter of the tests leave themselves out.
//
// Needs tclsh (Debian's tcl) and Redis's sources, which are read where they lie and never changed; nothing of them is in this tree. Tests
// that replicate or take minutes leave themselves out by their tags. What else is left out is in skipped.ts, each with its reason, and a
// reason that has no test any more is a failure: the list cannot outlive what it excuses. Exit code 0: no test of any unit has failed.

import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, stripVTControlCharacters } from 'node:util'
import { hasProgram, startNode } from '../server.ts'
import type { Server } from '../server.ts'
import { tempDir } from '../temp-dir.ts'
import { SKIPPED } from './skipped.ts'

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    outside: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    verbose: { type: 'boolean', default: false },
  },
})
const [folder, ...chosen] = positionals
/** Without a test begun or ended for so long, a unit hangs. */
const STUCK_SECONDS = 120
/** The suite looks for free ports from some number on: another one for every unit, below those that the system gives away. */
const FIRST_PORT = 11_000
const PORTS = 20_000

if (folder === undefined || !existsSync(join(folder, 'tests/test_helper.tcl'))) {
  console.error(
    "usage: npm run redis-suite -- <folder of redis-server 7.0.15's sources> [unit ...] [--outside] [--only <test>] [--verbose]",
  )
  process.exit(2)
}
if (!hasProgram('tclsh')) {
  console.error('tclsh is needed: apt-get install -y --no-install-recommends tcl')
  process.exit(2)
}
process.once('SIGINT', () => process.exit(130))

interface Outcome {
  readonly unit: string
  readonly passed: string[]
  readonly failed: string[]
  readonly skipped: string[]
  /** Left out by their own tags, with the tag. */
  readonly ignored: string[]
  readonly seconds: number
}

const units = chosen.length > 0 ? chosen : Object.keys(SKIPPED)
const problems: string[] = []
const outcomes: Outcome[] = []
for (const unit of units) {
  const outcome = await runUnit(unit)
  outcomes.push(outcome)
  console.log(summary(outcome))
  for (const failure of outcome.failed) problems.push(`${unit}: ${failure}`)
  // From outside some leave themselves out before they are skipped; a unit that did not run says nothing.
  if (flags.outside || flags.only.length > 0 || outcome.passed.length === 0) continue
  for (const name of Object.keys(SKIPPED[unit] ?? {})) {
    if (!outcome.skipped.some((skipped) => matches(name, skipped))) problems.push(`${unit}: no test is called '${name}' any more`)
  }
}
const total = (count: (outcome: Outcome) => string[]): number => outcomes.reduce((sum, outcome) => sum + count(outcome).length, 0)
console.log(
  `${units.length} units: ${total((o) => o.passed)} passed, ${total((o) => o.failed)} failed, ${total((o) => o.skipped)} skipped with a ` +
    `reason, ${total((o) => o.ignored)} left out by their own tags`,
)
for (const problem of problems) console.log(`\nFAILED ${problem}`)
process.exitCode = problems.length === 0 ? 0 : 1

function summary({ unit, passed, failed, skipped, ignored, seconds }: Outcome): string {
  return (
    `${unit.padEnd(24)} ${String(passed.length).padStart(4)} passed ${String(failed.length).padStart(3)} failed ` +
    `${String(skipped.length).padStart(3)} skipped ${String(ignored.length).padStart(3)} by tags ${seconds.toFixed(0).padStart(5)} s`
  )
}

/** As the suite matches names with --skipfile. */
function matches(wanted: string, name: string): boolean {
  return wanted.startsWith('/') ? new RegExp(wanted.slice(1)).test(name) : wanted === name
}

async function runUnit(unit: string): Promise<Outcome> {
  const began = performance.now()
  await using node = flags.outside ? await startNode({ args: ['--enable-debug-command', 'yes', '--latency-monitor-threshold', '1'] }) : null
  const skipFile = join(tempDir(), 'skip')
  writeFileSync(skipFile, Object.keys(SKIPPED[unit] ?? {}).join('\n'))
  const child = spawn(
    'tclsh',
    [
      ...['tests/test_helper.tcl', '--durable', '--clients', '1', '--single', unit, '--skipfile', skipFile],
      ...['--tags', `-slow -needs:repl${node === null ? '' : ' -needs:debug'}`, '--timeout', String(STUCK_SECONDS)],
      ...['--baseport', String(FIRST_PORT + Math.floor(Math.random() * PORTS)), '--portcount', '500'],
      ...(node === null ? [] : ['--host', '127.0.0.1', '--port', String(node.port)]),
      ...flags.only.flatMap((name) => ['--only', name]),
    ],
    { cwd: withStandIn(resolve(folder)), stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let output = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (chunk: string) => {
    output += chunk
    if (flags.verbose) process.stdout.write(chunk)
  })
  const code = await new Promise<number | null>((done, fail) => {
    child.once('error', fail)
    child.once('close', done)
  })
  const outcome = { unit, ...readOutput(output), seconds: (performance.now() - began) / 1000 }
  const death = deathOf(node)
  if (death !== null) outcome.failed.push(death)
  if (code !== 0 && outcome.failed.length === 0) outcome.failed.push(`the suite ended with code ${code}:\n${output.slice(-4000)}`)
  return outcome
}

function deathOf(node: Server | null): string | null {
  return node === null || node.exit === null ? null : `the node died:\n${node.log().slice(-4000)}`
}

/** A folder like that of the sources, as far as the suite looks, in which it may write and finds the stand-in. */
function withStandIn(sources: string): string {
  const dir = tempDir()
  mkdirSync(join(dir, 'tests/tmp'), { recursive: true })
  mkdirSync(join(dir, 'src'))
  for (const name of readdirSync(join(sources, 'tests'))) {
    if (name !== 'tmp') symlinkSync(join(sources, 'tests', name), join(dir, 'tests', name))
  }
  const standIn = fileURLToPath(new URL('stand-in.ts', import.meta.url))
  const program = (name: string, line: string): void =>
    writeFileSync(join(dir, 'src', name), `#!/bin/sh\nexec ${line} "$@"\n`, { mode: 0o755 })
  program('redis-server', `'${process.execPath}' '${standIn}'`)
  program('redis-cli', 'redis-cli')
  program('redis-benchmark', 'redis-benchmark')
  return dir
}

/** Lines `[ok]: name (3 ms)`; what follows a failure up to the next such line is its story. */
function readOutput(output: string): Pick<Outcome, 'passed' | 'failed' | 'skipped' | 'ignored'> {
  const found = { passed: [] as string[], failed: [] as string[], skipped: [] as string[], ignored: [] as string[] }
  // The end tells the failures a second time.
  const [body] = stripVTControlCharacters(output).split(/^ +The End$/m)
  for (const part of body.split(/^(?=\[[a-z]+\]: |\[\d+\/\d+ done\]: |Testing )/m)) {
    const line = /^\[(ok|err|skip|ignore|exception|TIMEOUT)\]: (.*)/s.exec(part)
    if (line === null) continue
    const text = line[2].trimEnd()
    if (line[1] === 'ok') found.passed.push(text.replace(/ \(\d+ ms\)$/, ''))
    else if (line[1] === 'skip') found.skipped.push(text)
    else if (line[1] === 'ignore') found.ignored.push(text)
    else found.failed.push(text)
  }
  return found
}
