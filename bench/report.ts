// The tables of a run, as Markdown, and the place in bench/README.md where the latest ones are kept.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import type { Figure } from './figures.ts'
import { boundsText } from './goal.ts'
import type { Verdict } from './goal.ts'
import type { Reading, SpeedResult } from './speed.ts'

const README = new URL('README.md', import.meta.url)
/** Name of a result -> the line that it begins with in bench/README.md. */
const RESULTS = {
  latest: '<!-- latest result: begin (written by npm run bench) -->',
  pipeline: '<!-- pipeline result: begin (written by npm run bench:pipeline) -->',
} as const

const reached = (verdict: Verdict | null): string => (verdict === null ? '' : verdict === 'MISSED' ? '**missed**' : verdict)
const rate = (perSecond: number): string => Math.round(perSecond).toLocaleString('en-US')
const times = (ratio: number): string => `${ratio.toFixed(2)}x`

/** How much of its core the server used: where it is far from all, the client or the disk was what limited the run. */
const withBusy = (reading: Reading): string =>
  `${rate(reading.perSecond)} (${((reading.perSecond * reading.cpuMicrosPerOp) / 1e4).toFixed(0)} %)`

export function speedLine(result: SpeedResult): string[] {
  const [lowest, highest] = result.opsRatioRange
  return [
    result.load,
    String(result.pipeline),
    result.durability,
    withBusy(result.redis),
    withBusy(result.stockd),
    `**${times(result.opsRatio)}** (${lowest.toFixed(2)}-${highest.toFixed(2)})`,
    result.redis.cpuMicrosPerOp.toFixed(2),
    result.stockd.cpuMicrosPerOp.toFixed(2),
    times(result.cpuRatio),
    boundsText(result.goals, 'require', 'x'),
    boundsText(result.goals, 'stretch', 'x'),
    reached(result.verdict),
  ]
}

export const SPEED_HEAD = [
  'load',
  'P',
  'log',
  'redis ops/s (busy)',
  'stockd ops/s (busy)',
  'ratio (range)',
  'redis CPU us/op',
  'stockd CPU us/op',
  'CPU ratio',
  'require',
  'stretch',
  'reached',
]

export function figureLine(figure: Figure): string[] {
  const number = (n: number | null): string => (n === null ? '' : n >= 1000 ? rate(n) : n.toPrecision(3))
  const ratio = figure.values.get('ratio')
  // "ratio <= 0.45x", but "p99.99 <= 10 ms": a bound is in the unit of what it bounds.
  const unit = ratio !== undefined || figure.unit === 'x' ? 'x' : ` ${figure.unit}`
  return [
    figure.what,
    figure.unit,
    number(figure.redis),
    number(figure.stockd),
    ratio === undefined ? '' : `**${times(ratio)}**`,
    boundsText(figure.goals, 'require', unit),
    boundsText(figure.goals, 'stretch', unit),
    reached(figure.verdict),
  ]
}

export const FIGURE_HEAD = ['figure', 'unit', 'redis', 'stockd', 'ratio', 'require', 'stretch', 'reached']

export function markdownTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [row(head), row(head.map(() => '---')), ...lines.map(row)].join('\n')
}

export function machine(): string {
  const commit = (): string => {
    try {
      return execFileSync('git', ['describe', '--always', '--dirty'], {
        encoding: 'utf8',
        stdio: 'pipe',
        cwd: new URL('.', import.meta.url),
      }).trim()
    } catch {
      return 'unknown'
    }
  }
  const redisVersion = /v=(\S+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown'
  const memory = `${Math.round(totalmem() / 1024 ** 3)} GiB`
  return [
    `${new Date().toISOString().slice(0, 10)}, commit ${commit()}`,
    `${cpus().length} cores (${cpus()[0].model.trim()}), ${memory}, Linux ${release()}`,
    `Node ${process.versions.node}, redis-server ${redisVersion}`,
    // What others did on the machine before: at 0 the numbers are clean, above 1 only the ratios mean something.
    `load average at the start ${loadavg()[0].toFixed(1)}`,
  ].join('; ')
}

/** Puts the tables into bench/README.md, between their marks. */
export function keep(text: string, name: keyof typeof RESULTS = 'latest'): void {
  const readme = readFileSync(README, 'utf8')
  const mark = RESULTS[name]
  const begin = readme.indexOf(mark)
  const end = readme.indexOf(`<!-- ${name} result: end -->`)
  if (begin === -1 || end === -1) throw new Error(`bench/README.md has lost the marks of the ${name} result`)
  writeFileSync(README, `${readme.slice(0, begin + mark.length)}\n${text}\n${readme.slice(end)}`)
}
