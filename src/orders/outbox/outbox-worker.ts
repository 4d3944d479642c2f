// The thread of the outbox: its environment is the real one, its other end is OutboxThread.

import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { FileDisk } from '../../aof/file-disk.ts'
import { assert } from '../../base/assert.ts'
import type { OrdersEnv } from '../env.ts'
import type { Fact, FromOutbox, OutboxOrder, ToOutbox } from './messages.ts'
import { Outbox } from './outbox.ts'

/** Below the node's own thread: what is late here is late, what is late there is lost business. */
const PRIORITY = 5

function main(): void {
  const port = parentPort
  assert(port !== null, 'this file runs as a worker thread')
  // As in the process's main thread (bin/): no name that comes from outside may reach a prototype.
  delete (Object.prototype as { __proto__?: unknown }).__proto__
  try {
    setPriority(0, PRIORITY)
  } catch {
    // Where the system does not allow it, at the node's side.
  }
  const post = (message: FromOutbox): void => {
    const memory = message.kind === 'range' ? message.entries : message.kind === 'summary' ? message.ends : null
    port.postMessage(message, memory === null ? [] : [memory.numbers.buffer, memory.bodies.buffer])
  }
  const env: OrdersEnv = {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    after(ms, run) {
      if (ms <= 0) {
        const soon = setImmediate(run)
        return () => clearImmediate(soon)
      }
      const timer = setTimeout(run, ms)
      return () => clearTimeout(timer)
    },
    random: () => Math.random(),
    say: (level, message, details = {}) => post({ kind: 'say', level, message, details: facts(details) }),
  }
  const cpu = (): number => {
    const { user, system } = process.threadCpuUsage()
    return user + system
  }
  const outbox = new Outbox({ order: workerData as OutboxOrder, disk: new FileDisk(), env, post, cpu })
  port.on('message', (message: ToOutbox) => {
    if (message.kind !== 'close') return outbox.receive(message)
    void outbox.close(message.drainMs).then(() => process.exit(0))
  })
  outbox.start()
}

function facts(details: Readonly<Record<string, unknown>>): Record<string, Fact> {
  const entries = Object.entries(details).map(([name, value]): [string, Fact] => [
    name,
    typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : JSON.stringify(value),
  ])
  return Object.fromEntries(entries)
}

main()
