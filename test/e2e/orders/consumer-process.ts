// `stockd-orders run` as a process of a test: started, killed, stopped; it dies with the process that started it.

import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually } from '../../support/eventually.ts'
import { hasProgram, Server } from '../../support/server.ts'
import { tempDir } from '../../support/temp-dir.ts'

const STOCKD_ORDERS = fileURLToPath(new URL('../../../bin/stockd-orders.js', import.meta.url))

export interface ConsumerOptions {
  readonly amqp: string
  readonly store: string
  readonly args?: readonly string[]
}

/** A consumer that was started; it may not be connected yet. */
export function startConsumer({ amqp, store, args = [] }: ConsumerOptions): Server {
  const logFile = join(tempDir(), 'consumer.log')
  const command = [process.execPath, STOCKD_ORDERS, 'run', ...args]
  const whole = process.platform === 'linux' && hasProgram('setpriv') ? ['setpriv', '--pdeathsig', 'KILL', '--', ...command] : command
  const output = openSync(logFile, 'a')
  try {
    const child = spawn(whole[0], whole.slice(1), {
      stdio: ['ignore', output, output],
      env: { ...process.env, STOCKD_AMQP: amqp, STOCKD_ORDERS_STORE: store },
    })
    return new Server(child, 0, tempDir(), logFile)
  } finally {
    closeSync(output)
  }
}

/** Until its log has a line like this. */
export async function says(consumer: Server, pattern: RegExp, deadlineMs = 30_000): Promise<void> {
  try {
    await eventually(
      `the consumer to say ${String(pattern)}`,
      () => {
        if (pattern.test(consumer.log())) return true
        if (consumer.exit !== null) throw new Error(`it ended (code ${consumer.exit.code}, signal ${consumer.exit.signal})`)
        return false
      },
      deadlineMs,
    )
  } catch (error) {
    throw new Error(`${(error as Error).message}. It printed:\n${consumer.log()}`, { cause: error })
  }
}
