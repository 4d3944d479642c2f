// redis-benchmark as the client of every comparison: the rival's own tool, so that nobody can say the client was chosen for us.

import { run } from '../test/support/run.ts'

export interface Load {
  /** `-t get` and the like, or a command after its options. */
  readonly test?: string
  readonly command?: readonly string[]
  readonly requests: number
  readonly pipeline: number
  readonly clients?: number
  /** `__rand_int__` and the keys of `test` are drawn from so many. */
  readonly keys: number
}

export interface Measured {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p9999Ms: number
  readonly maxMs: number
}

/** The client runs on this core, the servers on the other. */
export const CLIENT_CORE = '0'
export const SERVER_CORE = '1'

export async function benchmark(port: number, load: Load): Promise<Measured> {
  const output = await runClient(port, load)
  const perSecond = Number(/throughput summary: ([\d.]+) requests per second/.exec(output)?.[1])
  // 99.988% <= 1.255 milliseconds (cumulative count 99988): the last line is the maximum.
  const steps = [...output.matchAll(/^([\d.]+)% <= ([\d.]+) milliseconds/gm)].map((match) => [Number(match[1]), Number(match[2])])
  const slowest = steps.at(-1)
  if (!(perSecond > 0) || slowest === undefined) throw new Error(`redis-benchmark printed no summary:\n${output.slice(-1000)}`)
  const percentile = (percent: number): number => (steps.find(([step]) => step >= percent) ?? slowest)[1]
  return { perSecond, p50Ms: percentile(50), p99Ms: percentile(99), p9999Ms: percentile(99.99), maxMs: slowest[1] }
}

async function runClient(port: number, load: Load): Promise<string> {
  const finished = await run(
    [
      ...['taskset', '-c', CLIENT_CORE, 'redis-benchmark', '-p', String(port)],
      ...['-c', String(load.clients ?? 50), '-P', String(load.pipeline), '-n', String(load.requests), '-r', String(load.keys)],
      ...(load.test === undefined ? [] : ['-t', load.test]),
      ...(load.command ?? []),
    ],
    { deadlineMs: 600_000 },
  )
  // It rewrites its progress line in place: what is left of each line is what follows the last carriage return.
  const output = finished.stdout.replaceAll(/^.*\r/gm, '')
  if (finished.code !== 0)
    throw new Error(`redis-benchmark ended with ${finished.code}:\n${output.slice(-1000)}${finished.stderr.slice(-1000)}`)
  return output
}
