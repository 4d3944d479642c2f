// MEMORY: what memory is used for.

import type { Call } from '../../engine/call.ts'
import type { CommandSpec } from '../../engine/command.ts'
import type { Node } from '../node.ts'
import { clientBytes, human } from './info.ts'
import { container, keyless } from './keyless.ts'

const HELP = [
  'DOCTOR',
  '    Return memory problems reports.',
  'MALLOC-STATS',
  '    Return internal statistics report from the memory allocator.',
  'ORDER <order>',
  '    Return memory in bytes used by an order.',
  'PURGE',
  '    Attempt to purge dirty pages for reclamation by the allocator.',
  'STATS',
  '    Return information about the memory usage of the server.',
  'USAGE <key> [SAMPLES <count>]',
  '    Return memory in bytes used by <key> and its value. Nested values are',
  '    sampled up to <count> times (default: 5, 0 means sample all).',
]

/** @param costs MEMORY USAGE and MEMORY ORDER, which look into keys and orders and so belong to the engine. */
export function memoryCommand(node: Node, costs: readonly CommandSpec[]): CommandSpec {
  return container({
    name: 'MEMORY',
    group: 'server',
    since: '4.0.0',
    summary: 'About memory',
    help: HELP,
    helpSince: '4.0.0',
    subcommands: [
      keyless({
        name: 'DOCTOR',
        arity: 2,
        flags: [],
        group: 'server',
        since: '4.0.0',
        tips: 'nondeterministic_output request_policy:all_shards response_policy:special',
        syntax: '',
        summary: 'Says in words whether memory is a problem',
        run: ({ reply }) => reply.verbatim(memoryReport(node)),
      }),
      keyless({
        name: 'MALLOC-STATS',
        arity: 2,
        flags: [],
        group: 'server',
        since: '4.0.0',
        tips: 'nondeterministic_output request_policy:all_shards response_policy:special',
        syntax: '',
        complexity: 'O(N), N bytes of memory',
        summary: 'What the JavaScript engine tells of its heap',
        run({ reply }) {
          const lines = Object.entries(process.memoryUsage()).map(([name, bytes]) => `${name}: ${bytes} (${human(bytes)})\n`)
          reply.verbatim(lines.join(''))
        },
      }),
      keyless({
        name: 'PURGE',
        arity: 2,
        flags: [],
        group: 'server',
        since: '4.0.0',
        tips: 'request_policy:all_shards response_policy:all_succeeded',
        syntax: '',
        complexity: 'O(N), N bytes of memory',
        summary: 'Collects garbage now: a pause of some milliseconds',
        run({ reply }) {
          node.env.collectGarbage()
          reply.ok()
        },
      }),
      keyless({
        name: 'STATS',
        arity: 2,
        flags: [],
        group: 'server',
        since: '4.0.0',
        tips: 'nondeterministic_output request_policy:all_shards response_policy:special',
        syntax: '',
        summary: 'What memory is used for',
        run: (call) => memoryStats(call),
      }),
      ...costs,
    ],
  })

  function memoryStats({ reply }: Call): void {
    const used = node.memoryUsed()
    const { databases } = node.engine.keyspace
    const dataset = node.engine.keyspace.usedBytes + node.engine.ledger.usedBytes
    const keys = node.engine.keyspace.size
    const used0 = databases.map((database, i) => ({ i, database })).filter(({ database }) => database.size > 0)
    reply.map(11 + used0.length)
    const field = (name: string, n: number): void => {
      reply.text(name)
      reply.integer(n)
    }
    field('peak.allocated', Math.max(node.stats.peakMemory, used))
    field('total.allocated', used)
    field('startup.allocated', 0)
    field('replication.backlog', 0)
    field('clients.slaves', 0)
    field('clients.normal', clientBytes(node))
    field('aof.buffer', node.log?.pendingBytes ?? 0)
    for (const { i, database } of used0) {
      reply.text(`db.${i}`)
      reply.map(2)
      field('overhead.hashtable.main', 0)
      field('overhead.hashtable.expires', database.expiries.bytes)
    }
    field('overhead.total', Math.max(0, used - dataset))
    field('keys.count', keys)
    field('keys.bytes-per-key', keys === 0 ? 0 : Math.round(dataset / keys))
    field('dataset.bytes', dataset)
  }
}

function memoryReport(node: Node): string {
  const used = node.memoryUsed()
  const { rss } = process.memoryUsage()
  const limit = node.options.values.maxmemory
  const found: string[] = []
  if (limit > 0 && used > limit)
    found.push(`used memory ${human(used)} is above maxmemory ${human(limit)}: writes that need more are refused (OOM)`)
  else if (limit > 0 && used > limit * 0.9) found.push(`used memory ${human(used)} is close to maxmemory ${human(limit)}`)
  if (rss > 100 * 1024 * 1024 && rss > used * 2)
    found.push(`the process holds ${human(rss)} for ${human(used)} of data: it grew once and keeps the room`)
  const waiting = clientBytes(node)
  if (waiting > 64 * 1024 * 1024) found.push(`${human(waiting)} wait in buffers of connections: CLIENT LIST shows whose (qbuf, omem)`)
  if (found.length === 0) return `No problem with memory was found. Used: ${human(used)}, resident: ${human(rss)}.\n`
  return found.map((line) => `* ${line}\n`).join('')
}
