// Runs a command to its end and collects what it printed: for the CLIs, redis-cli, redis-benchmark and the like.

import { spawn } from 'node:child_process'
import { within } from './eventually.ts'

export interface Finished {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly input?: string | Uint8Array
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly deadlineMs?: number
}

/** Never throws for an exit code: the caller looks at it. `run([process.execPath, STOCKD, '--port', 'x'])`. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const child = spawn(command[0], command.slice(1), { stdio: 'pipe', cwd: options.cwd, env: { ...process.env, ...options.env } })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  child.stdin.on('error', () => {}) // A command that does not read its input is free to end first.
  child.stdin.end(options.input)
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      resolve({ code, signal, stdout: Buffer.concat(stdout).toString('utf8'), stderr: Buffer.concat(stderr).toString('utf8') })
    })
  })
  try {
    return await within(`the end of ${command.join(' ')}`, finished, options.deadlineMs ?? 60_000)
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
}
