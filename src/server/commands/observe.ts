// SLOWLOG, LATENCY and MEMORY: where time and memory go.

import type { Call } from '../../engine/call.ts'
import type { CommandFlag, CommandSpec } from '../../engine/command.ts'
import { parseInteger } from '../../base/decimal.ts'
import type { LatencyEvent } from '../latency.ts'
import type { Node } from '../node.ts'
import type { CommandStats } from '../stats.ts'
import { clientBytes, human } from './info.ts'
import { container, keyless } from './keyless.ts'

const ADMIN: readonly CommandFlag[] = ['admin', 'loading', 'stale']
const ADMIN_NOSCRIPT: readonly CommandFlag[] = ['admin', 'noscript', 'loading', 'stale']
const SLOWLOG_SHOWN = 10

const SLOWLOG_HELP = [
  'GET [<count>]',
  '    Return top <count> entries from the slowlog (default: 10, -1 mean all).',
  '    Entries are made of:',
  '    id, timestamp, time in microseconds, arguments array, client IP and port,',
  '    client name',
  'LEN',
  '    Return the length of the slowlog.',
  'RESET',
  '    Reset the slowlog.',
]

const LATENCY_HELP = [
  'DOCTOR',
  '    Return a human readable latency analysis report.',
  'GRAPH <event>',
  '    Return an ASCII latency graph for the <event> class.',
  'HISTORY <event>',
  '    Return time-latency samples for the <event> class.',
  'LATEST',
  '    Return the latest latency samples for all events.',
  'RESET [<event> ...]',
  '    Reset latency data of one or more <event> classes.',
  '    (default: reset all data for all event classes)',
  'HISTOGRAM [COMMAND ...]',
  '    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.',
  '    If no commands are specified then all histograms are replied.',
]

const MEMORY_HELP = [
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
export function observeCommands(node: Node, costs: readonly CommandSpec[]): CommandSpec[] {
  const { stats, options } = node
  return [
    container({
      name: 'SLOWLOG',
      group: 'server',
      since: '2.2.12',
      summary: 'About commands that took long',
      help: SLOWLOG_HELP,
      helpSince: '6.2.0',
      subcommands: [
        keyless({
          name: 'GET',
          arity: -2,
          flags: ADMIN,
          group: 'server',
          since: '2.2.12',
          tips: 'request_policy:all_nodes nondeterministic_output',
          complexity: 'O(N) where N is the number of entries returned',
          syntax: '[count]',
          summary: 'The newest slow commands',
          run: (call) => slowlogGet(call),
        }),
        keyless({
          name: 'LEN',
          arity: 2,
          flags: ADMIN,
          group: 'server',
          since: '2.2.12',
          tips: 'request_policy:all_nodes response_policy:agg_sum nondeterministic_output',
          syntax: '',
          summary: 'How many slow commands are kept',
          run: ({ reply }) => reply.integer(stats.slowlog.entries.length),
        }),
        keyless({
          name: 'RESET',
          arity: 2,
          flags: ADMIN,
          group: 'server',
          since: '2.2.12',
          tips: 'request_policy:all_nodes response_policy:all_succeeded',
          complexity: 'O(N) where N is the number of entries in the slowlog',
          syntax: '',
          summary: 'Forgets the slow commands',
          run({ reply }) {
            stats.slowlog.reset()
            reply.ok()
          },
        }),
      ],
    }),
    container({
      name: 'LATENCY',
      group: 'server',
      since: '2.8.13',
      summary: 'About moments in which the node was slow',
      help: LATENCY_HELP,
      helpSince: '2.8.13',
      subcommands: [
        keyless({
          name: 'LATEST',
          arity: 2,
          flags: ADMIN_NOSCRIPT,
          group: 'server',
          since: '2.8.13',
          tips: 'nondeterministic_output request_policy:all_nodes response_policy:special',
          syntax: '',
          summary: 'Per kind of event its latest and its worst spike',
          run({ reply }) {
            const events = [...stats.latency.events]
            reply.array(events.length)
            for (const [name, event] of events) {
              const last = event.samples.at(-1)!
              reply.array(4)
              reply.text(name)
              reply.integer(last.time)
              reply.integer(last.ms)
              reply.integer(event.maxMs)
            }
          },
        }),
        keyless({
          name: 'HISTORY',
          arity: 3,
          flags: ADMIN_NOSCRIPT,
          group: 'server',
          since: '2.8.13',
          tips: 'nondeterministic_output request_policy:all_nodes response_policy:special',
          syntax: 'event',
          summary: 'The spikes of one kind of event, with their times',
          run({ request, reply }) {
            const samples = stats.latency.events.get(request.latin1(2))?.samples ?? []
            reply.array(samples.length)
            for (const { time, ms } of samples) {
              reply.array(2)
              reply.integer(time)
              reply.integer(ms)
            }
          },
        }),
        keyless({
          name: 'RESET',
          arity: -2,
          flags: ADMIN_NOSCRIPT,
          group: 'server',
          since: '2.8.13',
          tips: 'request_policy:all_nodes response_policy:all_succeeded',
          syntax: '[event [event ...]]',
          summary: 'Forgets the spikes of some kinds of event, or of all',
          run({ request, reply }) {
            const names: string[] = []
            for (let i = 2; i < request.argc; i++) names.push(request.latin1(i))
            reply.integer(stats.latency.reset(names))
          },
        }),
        keyless({
          name: 'GRAPH',
          arity: 3,
          flags: ADMIN_NOSCRIPT,
          group: 'server',
          since: '2.8.13',
          tips: 'nondeterministic_output request_policy:all_nodes response_policy:special',
          syntax: 'event',
          summary: 'Draws the spikes of one kind of event',
          run({ request, reply, now }) {
            const name = request.latin1(2)
            const event = stats.latency.events.get(name)
            if (event === undefined) reply.error(`ERR No samples available for event '${name}'`)
            else reply.verbatim(graph(name, event, now))
          },
        }),
        keyless({
          name: 'DOCTOR',
          arity: 2,
          flags: ADMIN_NOSCRIPT,
          group: 'server',
          since: '2.8.13',
          tips: 'nondeterministic_output request_policy:all_nodes response_policy:special',
          syntax: '',
          summary: 'Says in words what the spikes mean',
          run: ({ reply }) => reply.verbatim(doctor(stats.latency.events, options.values['latency-monitor-threshold'])),
        }),
        keyless({
          name: 'HISTOGRAM',
          arity: -2,
          flags: ADMIN_NOSCRIPT,
          group: 'server',
          since: '7.0.0',
          tips: 'nondeterministic_output request_policy:all_nodes response_policy:special',
          complexity: 'O(N) where N is the number of commands with latency information being retrieved.',
          syntax: '[command [command ...]]',
          summary: 'How long commands took, as a histogram per command',
          run: (call) => histogram(call),
        }),
      ],
    }),
    container({
      name: 'MEMORY',
      group: 'server',
      since: '4.0.0',
      summary: 'About memory',
      help: MEMORY_HELP,
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
          complexity: 'Depends on how much memory is allocated, could be slow',
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
          complexity: 'Depends on how much memory is allocated, could be slow',
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
    }),
  ]

  function slowlogGet({ request, reply }: Call): void {
    let count = SLOWLOG_SHOWN
    if (request.argc === 3) {
      count = parseInteger(request.bytes, request.start[2], request.end[2])
      if (!(count >= -1)) return reply.error('ERR count should be greater than or equal to -1')
      if (count === -1) count = Infinity
    } else if (request.argc > 3) {
      return reply.error(`ERR unknown subcommand or wrong number of arguments for '${request.latin1(1)}'. Try SLOWLOG HELP.`)
    }
    const entries = stats.slowlog.entries.slice(0, count)
    reply.array(entries.length)
    for (const entry of entries) {
      reply.array(6)
      reply.integer(entry.id)
      reply.integer(entry.time)
      reply.integer(entry.micros)
      reply.array(entry.args.length)
      for (const argument of entry.args) reply.latin1(argument)
      reply.text(entry.addr)
      reply.latin1(entry.name)
    }
  }

  function histogram({ request, reply }: Call): void {
    const known = new Map(stats.commands.map((command) => [command.fullName, command]))
    const chosen = new Set<CommandStats>()
    if (request.argc === 2) stats.commands.forEach((command) => chosen.add(command))
    for (let i = 2; i < request.argc; i++) {
      const name = request.latin1(i).toLowerCase()
      // A container stands for its subcommands too.
      for (const [fullName, command] of known) if (fullName === name || fullName.startsWith(`${name}|`)) chosen.add(command)
    }
    const shown = [...chosen].filter((command) => command.histogram !== null && command.histogram.count > 0)
    reply.map(shown.length)
    for (const command of shown) {
      const buckets: [number, number][] = []
      const counts = command.histogram!
      for (let micros = 1, before = 0; before < counts.count; micros *= 2) {
        const n = counts.atMost(micros)
        if (n > before) buckets.push([micros, n])
        before = n
      }
      reply.text(command.fullName)
      reply.map(2)
      reply.text('calls')
      reply.integer(counts.count)
      reply.text('histogram_usec')
      reply.map(buckets.length)
      for (const [micros, n] of buckets) {
        reply.integer(micros)
        reply.integer(n)
      }
    }
  }

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
    field('peak.allocated', Math.max(stats.peakMemory, used))
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

const BARS = ['_', 'o', '#']

/** Seconds, minutes, hours or days, in two characters and a unit. */
function age(seconds: number): string {
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86400)}d`
}

/** Spikes as columns, the age of each written below it. */
function graph(name: string, event: LatencyEvent, now: number): string {
  const samples = event.samples.slice(-80)
  const high = Math.max(...samples.map((sample) => sample.ms))
  const low = Math.min(...samples.map((sample) => sample.ms))
  const rows = 4
  const steps = rows * BARS.length
  const heights = samples.map((sample) => (high === low ? steps : Math.max(1, Math.ceil(((sample.ms - low) / (high - low)) * steps))))
  let text = `${name} - high ${high} ms, low ${low} ms (all time high ${event.maxMs} ms)\n${'-'.repeat(80)}\n`
  for (let row = rows - 1; row >= 0; row--) {
    const line = heights.map((height) => {
      const part = height - row * BARS.length
      return part <= 0 ? ' ' : BARS[Math.min(part, BARS.length) - 1]
    })
    text += `${line.join('').trimEnd()}\n`
  }
  const ages = samples.map((sample) => age(Math.max(0, Math.floor(now / 1000) - sample.time)))
  text += '\n'
  for (let i = 0; ages.some((label) => i < label.length); i++)
    text += `${ages
      .map((label) => label[i] ?? ' ')
      .join('')
      .trimEnd()}\n`
  return text
}

const CAUSES: ReadonlyMap<string, string> = new Map([
  ['command', 'slow commands ran: SLOWLOG GET names them'],
  ['fast-command', 'even quick commands were slow: look for other programs on the processor, swapping, or a pause of the collector'],
  ['aof-write', 'the log was slow to write: look at the disk'],
  ['expire-cycle', 'many keys or holds ended at once'],
])

function doctor(events: ReadonlyMap<string, LatencyEvent>, threshold: number): string {
  if (threshold === 0) {
    return (
      'Latency monitoring is off. Turn it on with CONFIG SET latency-monitor-threshold <milliseconds>: ' +
      'what takes longer is remembered, and shown here.\n'
    )
  }
  if (events.size === 0) return `No latency spike of ${threshold} ms or more was seen.\n`
  let text = `Latency spikes of ${threshold} ms or more:\n`
  let i = 0
  for (const [name, event] of events) {
    const sum = event.samples.reduce((total, sample) => total + sample.ms, 0)
    text += `\n${++i}. ${name}: ${event.samples.length} latency spikes (average ${Math.round(sum / event.samples.length)} ms, worst ${event.maxMs} ms).\n`
    const cause = CAUSES.get(name)
    if (cause !== undefined) text += `   Likely: ${cause}.\n`
  }
  return text
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
