// `npm run bench:pipeline`: from the node's log through RabbitMQ into MariaDB, beside the bare ceilings of both on the same machine, and what
// all of it does to a RESERVE.
//
//   npm run bench:pipeline                       everything, about 20 minutes; writes the table into bench/README.md
//   npm run bench:pipeline -- --quick            the same, short: a look, not a result
//   npm run bench:pipeline -- --only latency     speed, or latency
//   npm run bench:pipeline -- --layout 1x1       one layout
//
// Exit code 1 when a required figure is missed (not with --quick).

import { parseArgs } from 'node:util'
import { judge, median, boundsText, type Goal } from './goal.ts'
import { measureLatency } from './pipeline-latency.ts'
import { measurePipeline } from './pipeline-speed.ts'
import { keep, machine, markdownTable } from './report.ts'

/** One row: the same thing measured beside its rival, in turns. */
export interface PairedFigure {
  readonly what: string
  readonly unit: string
  /** What `rival` is: bare publish, without the pipeline ... */
  readonly beside: string
  readonly pairs: readonly Pair[]
  readonly goals: readonly Goal[]
}

export interface Pair {
  readonly rival: number
  readonly ours: number
  /** Of the process that does the work, per event; where it was looked at. */
  readonly rivalCpuMicros?: number
  readonly oursCpuMicros?: number
}

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    layout: { type: 'string', multiple: true },
    rounds: { type: 'string' },
    orders: { type: 'string' },
  },
})
const rounds = Number(flags.rounds ?? (flags.quick ? 2 : 5))
const orders = Number(flags.orders ?? (flags.quick ? 10_000 : 50_000))
const layouts = flags.layout ?? ['1x1', '16x64']

const HEAD = [
  'figure',
  'unit',
  'beside',
  'there',
  'stockd',
  'ratio (range)',
  'CPU us/event, there',
  'CPU us/event',
  'require',
  'stretch',
  'reached',
]

const number = (n: number | undefined): string =>
  n === undefined || Number.isNaN(n) ? '' : n >= 100 ? Math.round(n).toLocaleString('en-US') : n.toPrecision(3)

function line({ what, unit, beside, pairs, goals }: PairedFigure): { cells: string[]; isMissed: boolean } {
  const middle = (of: (pair: Pair) => number | undefined): number => median(pairs.map((pair) => of(pair) ?? NaN))
  const ratios = pairs.map(({ rival, ours }) => ours / rival)
  const ratio = median(ratios)
  const ours = middle((pair) => pair.ours)
  const verdict = judge(
    goals,
    new Map([
      ['ratio', ratio],
      ['stockd', ours],
    ]),
  )
  const goalText = (which: 'require' | 'stretch'): string =>
    boundsText(goals, which, '').replace('ratio ', '').replaceAll('stockd ', `${unit} `)
  return {
    isMissed: verdict === 'MISSED',
    cells: [
      ...[what, unit, beside, number(middle((pair) => pair.rival)), number(ours)],
      `**${ratio.toFixed(2)}x** (${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)})`,
      number(middle((pair) => pair.rivalCpuMicros)),
      number(middle((pair) => pair.oursCpuMicros)),
      goalText('require'),
      goalText('stretch'),
      verdict === null ? '' : verdict === 'MISSED' ? '**missed**' : verdict,
    ],
  }
}

const where = machine()
console.log(where)
const lines: string[][] = []
const onResult = (figure: PairedFigure): void => {
  const { cells, isMissed } = line(figure)
  lines.push(cells)
  console.log(cells.filter((cell) => cell !== '').join('  '))
  if (isMissed && !flags.quick) process.exitCode = 1
}
if (flags.only !== 'latency') for (const layout of layouts) await measurePipeline({ layout, orders, rounds, onResult })
if (flags.only !== 'speed') await measureLatency({ rounds: flags.quick ? rounds : 10, seconds: flags.quick ? 2 : 10, onResult })

const table = `${where}\n\n${markdownTable(HEAD, lines)}`
console.log(`\n${table}`)
if (!flags.quick && flags.only === undefined && flags.layout === undefined) keep(table, 'pipeline')
