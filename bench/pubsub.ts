// PUBLISH to 1, 100 and 1,000 subscribers, on redis-server and on a stockd node in turn: messages delivered per second, and the CPU time of
// the server's process for each of them (the better figure where others use the machine, too).
//
//   node bench/pubsub.ts [seconds per measurement]
//
// One publisher keeps a pipeline of 16 messages of 100 bytes in flight; the subscribers' bytes are counted, not parsed, in this process,
// whose own work is part of every figure. A figure is the median of the rounds.

import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { encodeRequest } from '../test/support/raw-client.ts'
import { startNode, startRedis } from '../test/support/server.ts'
import type { Server } from '../test/support/server.ts'
import { cpuMicros } from './process.ts'

const PIPELINE = 16
const MESSAGE = Buffer.alloc(100, 'm')
const FRAME_BYTES = encodeRequest(['message', 'news', MESSAGE]).length
const ROUNDS = 3
const seconds = Number(process.argv[2] ?? 1)

function open(server: Server, heard: (bytes: number) => void): Promise<Socket> {
  return new Promise((resolve, reject) => {
    // One static buffer for all: what is measured shall be the servers.
    const socket = connect({
      port: server.port,
      host: '127.0.0.1',
      noDelay: true,
      onread: { buffer: landing, callback: (bytes) => (heard(bytes), true) },
    })
    socket.once('error', reject)
    socket.once('connect', () => resolve(socket))
  })
}
const landing = Buffer.allocUnsafe(64 * 1024)

interface Figures {
  /** Messages delivered per second. */
  readonly rate: number
  /** CPU time of the server for each. */
  readonly micros: number
}

async function measure(server: Server, listeners: number): Promise<Figures> {
  let bytes = 0
  let wanted = 0
  let onBytes: () => void = () => {}
  const hear = (more: number): void => {
    bytes += more
    if (bytes >= wanted) onBytes()
  }
  const reach = (target: number): Promise<void> => {
    wanted = target
    return bytes >= target ? Promise.resolve() : new Promise((resolve) => (onBytes = resolve))
  }
  const confirmation = '*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n'.length
  const subscribers = await Promise.all(Array.from({ length: listeners }, () => open(server, hear)))
  for (const socket of subscribers) socket.write(encodeRequest(['SUBSCRIBE', 'news']))
  await reach(confirmation * listeners)
  const publisher = await open(server, () => {})
  const batch = Buffer.concat(Array.from({ length: PIPELINE }, () => encodeRequest(['PUBLISH', 'news', MESSAGE])))
  const step = PIPELINE * listeners * FRAME_BYTES
  let delivered = 0
  const cpu = cpuMicros(server.pid)
  const began = performance.now()
  while (performance.now() - began < seconds * 1000) {
    const target = bytes + step
    publisher.write(batch)
    await reach(target)
    delivered += PIPELINE * listeners
  }
  const rate = delivered / ((performance.now() - began) / 1000)
  const micros = (cpuMicros(server.pid) - cpu) / delivered
  for (const socket of [...subscribers, publisher]) socket.destroy()
  return { rate, micros }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]

await using redis = await startRedis()
await using stockd = await startNode({ args: ['--appendonly', 'no'] })
for (const listeners of [1, 100, 1000]) {
  const figures: Record<'redis' | 'stockd', Figures[]> = { redis: [], stockd: [] }
  for (let round = 0; round < ROUNDS; round++) {
    figures.redis.push(await measure(redis, listeners))
    figures.stockd.push(await measure(stockd, listeners))
  }
  const show = (name: 'redis' | 'stockd'): string => {
    const rate = Math.round(median(figures[name].map((one) => one.rate)))
    return `${name} ${rate}/s at ${median(figures[name].map((one) => one.micros)).toFixed(2)} us`
  }
  console.log(`PUBLISH to ${String(listeners).padStart(4)}: ${show('redis')}, ${show('stockd')}`)
}
