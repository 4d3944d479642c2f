// `npm run bench`: stockd beside a private redis-server, in pairs, and what the targets say about the result.
//
//   npm run bench                      everything; writes the tables into bench/README.md
//   npm run bench -- --quick           the same loads, short: a look, not a result
//   npm run bench -- --only reservation --only "GET none P=16" --rounds 7
//
// Exit code 1 when a required figure is missed (not with --quick).

import { parseArgs } from 'node:util'
import { killServers } from '../test/support/server.ts'
import { measureFigures } from './figures.ts'
import type { Figure } from './figures.ts'
import { FIGURE_HEAD, SPEED_HEAD, figureLine, keep, machine, markdownTable, speedLine } from './report.ts'
import { measureSpeed } from './speed.ts'
import type { SpeedResult } from './speed.ts'

const { values: flags } = parseArgs({
  options: {
    'quick': { type: 'boolean', default: false },
    'only': { type: 'string', multiple: true, default: [] },
    'rounds': { type: 'string' },
    'seconds': { type: 'string' },
    'redis-twice': { type: 'boolean', default: false },
  },
})

const rounds = Number(flags.rounds ?? (flags.quick ? 3 : 7))
const seconds = Number(flags.seconds ?? (flags.quick ? 0.15 : 1.5))
const shared = { rounds, seconds, only: flags.only, redisTwice: flags['redis-twice'] }
const print = (cells: readonly string[]): void => console.log(cells.filter((cell) => cell !== '').join('  '))

const where = machine()
console.log(where)
console.log(SPEED_HEAD.join('  '))
let speed: SpeedResult[] = []
let figures: Figure[] = []
try {
  speed = await measureSpeed({ ...shared, onResult: (result) => print(speedLine(result)) })
  figures = await measureFigures({
    ...shared,
    rounds: flags.quick ? 1 : Math.min(rounds, 3),
    orders: flags.quick ? 100_000 : 1_000_000,
    manyOrders: flags.quick ? 500_000 : 5_000_000,
    onResult: (figure) => print(figureLine(figure)),
  })
} finally {
  await killServers()
}

const tables = [
  where,
  ...(speed.length === 0 ? [] : [markdownTable(SPEED_HEAD, speed.map(speedLine))]),
  ...(figures.length === 0 ? [] : [markdownTable(FIGURE_HEAD, figures.map(figureLine))]),
].join('\n\n')
console.log(`\n${tables}`)

if (!flags.quick && flags.only.length === 0 && !flags['redis-twice']) keep(tables)
if (!flags.quick && [...speed, ...figures].some((result) => result.verdict === 'MISSED')) process.exitCode = 1
