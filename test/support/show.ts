// `npm run show`: every order arrives in MySQL, exactly once, whatever dies on the way.
//
//   npm run show                            50,000 orders, each process killed three times and more, about three minutes
//   npm run show -- --orders 5000 --kills 1 a short one
//   npm run show -- --long                  beside that, the broker is stopped for two minutes and loses its data, then the database is
//   npm run show -- --seed 7 --layout 16x64 --consumers 3
//
// Starts a node, RabbitMQ, MariaDB and consumers on free ports in temporary directories; sells; kills (-9) one, two or more of them at
// random moments while it sells on; then compares the node with MySQL, by `stockd-orders reconcile` and by a count of its own in plain
// SQL (oracle.ts). Exit code 0: nothing is lost, nothing is there twice. Everything that it started and wrote is removed.

import { parseArgs } from 'node:util'
import { Random } from '../../src/base/random.ts'
import { eventually } from './eventually.ts'
import { HAS_MARIADB } from './mariadb.ts'
import { judge, type Verdict } from './oracle.ts'
import { count, Picture } from './picture.ts'
import { HAS_RABBITMQ } from './rabbitmq.ts'
import { Seller } from './seller.ts'
import { startWay, STATIONS, type Station } from './way.ts'

const { values: flags } = parseArgs({
  options: {
    orders: { type: 'string', default: '50000' },
    kills: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    rate: { type: 'string', default: '500' },
    consumers: { type: 'string', default: '2' },
    layout: { type: 'string', default: '1x1' },
    long: { type: 'boolean', default: false },
  },
})
const wanted = Number(flags.orders)
const kills = Number(flags.kills)
const seed = Number(flags.seed)
const [databases, tables] = flags.layout.split('x').map(Number)
const random = new Random(seed)

const LONG_MS = 120_000
/** For a moment to come, and for all to arrive: longer than anything on the way is patient. */
const PATIENCE_MS = 900_000

/** The broker lost its data in the second of its deaths. */
let wipes = 0

if (!HAS_RABBITMQ || !HAS_MARIADB) {
  console.error('RabbitMQ and MariaDB are needed: as root on Debian, node test/support/programs.ts installs them')
  process.exit(2)
}
process.once('SIGINT', () => process.exit(130))

console.log(`${count(wanted)} orders, each process killed ${kills} times, ${flags.layout} tables (--seed ${seed}); starting ...`)
await using way = await startWay({
  ...{ consumers: Number(flags.consumers), databases, tables, binlog: true },
  databaseArgs: [
    '--innodb-buffer-pool-size=512M',
    '--table-open-cache=20000',
    '--table-definition-cache=10000',
    '--open-files-limit=40000',
  ],
})
const seller = new Seller({ port: way.nodePort, random: random.fork('seller'), skus: 50, buyers: 10_000 })
await seller.open()
const began = performance.now()
const picture = new Picture(way, seller, wanted)
const selling = seller.sell(Number.MAX_SAFE_INTEGER, Number(flags.rate))
// A shopper who hears what he should never hear ends the show.
selling.catch(() => {})

await Promise.race([selling, killAll()])
if (flags.long) {
  await stopFor('broker', LONG_MS, () => {
    way.rabbit.wipe()
    wipes++
  })
  await stopFor('database', LONG_MS)
}
await eventually('the last order', () => seller.orders.size >= wanted, PATIENCE_MS)
seller.stop()
await selling
const sellingMs = performance.now() - began

picture.note('nobody sells any more; waiting until all has arrived')
await way.heal()
await way.arrives(PATIENCE_MS)
const arrivedMs = performance.now() - began
picture.note('counting in MySQL')
const verdict = await judge(way, seller)
picture.note('stockd-orders reconcile')
const reconciled = await way.orders('reconcile')
picture.end()
console.log(`\n$ stockd-orders reconcile\n${reconciled.stdout}${reconciled.stderr}exit code ${reconciled.code}\n`)
console.log(report(verdict, reconciled.code === 0))
if (verdict.differences.length > 0) console.log(verdict.differences.join('\n'))
process.exitCode = verdict.differences.length === 0 && reconciled.code === 0 ? 0 : 1

/** Each station so many times, in random order, spread over the sale; some while others are still dead. */
async function killAll(): Promise<void> {
  const victims = STATIONS.flatMap((station) => Array.from({ length: kills }, () => ({ station, at: random.float() })))
    .toSorted((a, b) => a.at - b.at)
    .map(({ station }) => station)
  const starts = new Map<Station, Promise<void>>()
  for (const [i, station] of victims.entries()) {
    const share = (i + random.float()) / (victims.length + 1)
    await eventually(`${Math.round(share * 100)} % of the sale`, () => seller.orders.size >= share * wanted, PATIENCE_MS)
    // It may still be on its way back from the last time.
    await starts.get(station)
    const isWiped = station === 'broker' && way.kills.broker === 1
    picture.note(`kill -9 ${station}${isWiped ? ', and its data is gone' : ''}`)
    await way.kill9(station)
    if (isWiped) {
      way.rabbit.wipe()
      wipes++
    }
    starts.set(station, back(station, random.between(100, 1500)))
  }
  await Promise.all(starts.values())
}

/** Starts it when so many more orders are sold. Without a node none are. */
async function back(station: Station, orders: number): Promise<void> {
  const until = seller.orders.size + orders
  if (station !== 'node') await eventually('orders', () => seller.orders.size >= until || !way.isUp('node'), PATIENCE_MS)
  await way.start(station)
}

async function stopFor(station: Station, ms: number, meanwhile: () => void = () => {}): Promise<void> {
  picture.note(`the ${station} is stopped for ${ms / 1000} s`)
  await way.stop(station)
  meanwhile()
  const until = performance.now() + ms
  await eventually('the end of the pause', () => performance.now() >= until, ms + 60_000)
  await way.start(station)
  picture.note(`the ${station} is back`)
}

function report({ orders, events, dead, states, units, differences }: Verdict, isReconciled: boolean): string {
  const ofState = Object.entries(states).map(([state, n]) => `${count(n)} ${state}`)
  const killed = STATIONS.map((station) => `${station} ${way.kills[station]}`)
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(0)} s`
  const lost = differences.filter((text) => /lost|no order/.test(text)).length
  const rows = [
    ['orders accepted by the node', count(seller.orders.size)],
    ['orders in MySQL', `${count(orders)} (${ofState.join(', ')})`],
    ['units sold, in all three books', count(units.sold)],
    ['events in MySQL', `${count(events)}${dead > 0 ? `, and ${dead} dead` : ''}`],
    ['killed (-9)', `${killed.join(', ')}${wipes > 0 ? `; the broker lost its data ${wipes === 1 ? 'once' : `${wipes} times`}` : ''}`],
    ['stopped', flags.long ? `broker ${LONG_MS / 1000} s, database ${LONG_MS / 1000} s` : 'not (--long does)'],
    ['answers that shoppers did not get', count(seller.unanswered)],
    ['sold in, arrived after', `${seconds(sellingMs)}, ${seconds(arrivedMs - sellingMs)} more`],
    ['lost', String(lost)],
    ['doubled or different', String(differences.length - lost)],
    ['node = MySQL', isReconciled && differences.length === 0 ? 'yes, by reconcile and by count' : '**no**'],
  ]
  return ['| npm run show | |', '| --- | --- |', ...rows.map(([name, value]) => `| ${name} | ${value} |`)].join('\n')
}
