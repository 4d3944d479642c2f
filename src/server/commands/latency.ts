// LATENCY: moments in which the node was slow, and how long commands take.

import type { Call } from '../../engine/call.ts'
import type { CommandFlag, CommandSpec } from '../../engine/command.ts'
import type { LatencyEvent } from '../latency.ts'
import type { Node } from '../node.ts'
import type { CommandStats } from '../stats.ts'
import { container, keyless } from './keyless.ts'

const ADMIN: readonly CommandFlag[] = ['admin', 'noscript', 'loading', 'stale']

const HELP = [
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

export function latencyCommand({ stats, options }: Node): CommandSpec {
  return container({
    name: 'LATENCY',
    group: 'server',
    since: '2.8.13',
    summary: 'About moments in which the node was slow',
    help: HELP,
    helpSince: '2.8.13',
    subcommands: [
      keyless({
        name: 'LATEST',
        arity: 2,
        flags: ADMIN,
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
        flags: ADMIN,
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
        flags: ADMIN,
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
        flags: ADMIN,
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
        flags: ADMIN,
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
        flags: ADMIN,
        group: 'server',
        since: '7.0.0',
        tips: 'nondeterministic_output request_policy:all_nodes response_policy:special',
        complexity: 'O(N), N commands shown',
        syntax: '[command [command ...]]',
        summary: 'How long commands took, as a histogram per command',
        run: (call) => histogram(call),
      }),
    ],
  })

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
