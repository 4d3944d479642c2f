import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, it } from 'vitest'
import { NodeStage } from '../node-stage.ts'
import type { NodeClient } from '../node-stage.ts'

const README = fileURLToPath(new URL('../../../../README.md', import.meta.url))
const LINES = readFileSync(README, 'utf8').match(/^ACL SETUSER (?:shop|ops|consumer|dashboard) .*$/gm)!

const NOPERM = /^-NOPERM /

describe("the README's users", () => {
  let stage: NodeStage
  let root: NodeClient

  beforeEach(() => {
    stage = new NodeStage()
    root = stage.connect()
    for (const line of LINES) expect(root.ask(line)).toBe('+OK\r\n')
    expect(root.ask('STOCK.CREATE sku 10')).not.toMatch(/^-/)
    root.ask('SET page x')
  })

  function as(name: string): NodeClient {
    const client = stage.connect()
    expect(client.ask(`AUTH ${name} change-me`)).toBe('+OK\r\n')
    return client
  }

  function can(client: NodeClient, lines: readonly string[]): void {
    for (const line of lines) expect([line, client.ask(line)], line).toEqual([line, expect.not.stringMatching(NOPERM)])
  }

  function cannot(client: NodeClient, lines: readonly string[]): void {
    for (const line of lines) expect([line, client.ask(line)], line).toEqual([line, expect.stringMatching(NOPERM)])
  }

  const SELLS = [
    'STOCK.RESERVE {ann}1 ITEMS sku 1',
    'STOCK.EXTEND {ann}1 EX 60',
    'STOCK.CONFIRM {ann}1',
    'STOCK.RETURN {ann}1',
    'STOCK.RELEASE {ann}1',
  ]
  const READS_STOCK = [
    'STOCK.GET sku',
    'STOCK.MGET sku other',
    'STOCK.INFO sku',
    'STOCK.ORDER {ann}1',
    'STOCK.ORDERS ann',
    'STOCK.HOLDS sku',
  ]
  const WRITES = ['SET page y', 'DEL page', 'HSET cart f 1', 'LPUSH list a', 'SADD set a', 'ZADD board 1 a', 'INCR n', 'EXPIRE page 10']
  const READS = ['GET page', 'HGETALL cart', 'LRANGE list 0 -1', 'SMEMBERS set', 'ZRANGE board 0 -1', 'TTL page', 'EXISTS page', 'SCAN 0']
  const CONNECTS = ['PING', 'SELECT 0', 'CLIENT SETNAME me', 'CLIENT ID', 'HELLO 3', 'HELLO 2', 'COMMAND COUNT', 'ECHO x']
  const ADMINISTERS = [
    ...['STOCK.CREATE other 1', 'STOCK.ALTER sku MAXHOLD 60', 'STOCK.ADJUST sku 1 ID a1', 'STOCK.DROP sku', 'STOCK.AUDIT RETRY sku'],
    ...['FLUSHALL', 'FLUSHDB', 'SWAPDB 0 1', 'CONFIG SET timeout 0', 'CONFIG GET *', 'BGREWRITEAOF', 'SHUTDOWN NOSAVE'],
    ...['ACL LIST', 'ACL SETUSER x on', 'CLIENT KILL ID 4711', 'CLIENT LIST', 'KEYS *', 'SLOWLOG RESET', 'MONITOR', 'DEBUG SLEEP 0'],
  ]

  it('shop sells, keeps what a shop keeps, and changes no SKU', () => {
    const shop = as('shop')
    can(shop, [...SELLS, ...READS_STOCK, ...WRITES, ...READS, ...CONNECTS, 'INFO', 'PUBLISH news x', 'MULTI', 'GET page', 'EXEC'])
    cannot(
      shop,
      ADMINISTERS.filter((line) => !line.startsWith('DEBUG')),
    )
    expect(root.ask('STOCK.GET sku')).toBe(':10\r\n')
  })

  it('shop cannot do by FCALL what it cannot do by name', () => {
    root.ask('ACL SETUSER shop +fcall')
    const shop = as('shop')
    can(shop, ['FCALL STOCK.RESERVE 1 {ann}2 ITEMS sku 1', 'FCALL STOCK.NOSUCH 0'])
    cannot(shop, ['FCALL STOCK.DROP 1 sku', 'FCALL stock.drop 1 sku', 'FCALL_RO STOCK.GET 1 sku'])
  })

  it('ops may do everything', () => {
    const ops = as('ops')
    can(ops, [...SELLS, ...READS_STOCK, ...WRITES, ...READS, ...CONNECTS])
    can(ops, ['STOCK.CREATE other 1', 'STOCK.DROP other', 'CONFIG GET *', 'ACL LIST', 'CLIENT LIST', 'KEYS *', 'SLOWLOG RESET'])
  })

  it('consumer reads stock:events and nothing else', () => {
    const consumer = as('consumer')
    can(consumer, ['XREAD COUNT 1 STREAMS stock:events 0', 'XRANGE stock:events - +', 'XREVRANGE stock:events + -', 'XLEN stock:events'])
    can(consumer, ['XINFO STREAM stock:events', ...CONNECTS, 'SUBSCRIBE __stock__:soldout', 'UNSUBSCRIBE'])
    cannot(consumer, [
      'XREAD COUNT 1 STREAMS stock:events other 0 0',
      'XRANGE other - +',
      'XLEN page',
      'SUBSCRIBE news',
      'PSUBSCRIBE *',
      'PUBLISH __stock__:soldout x',
    ])
    cannot(consumer, [
      ...SELLS,
      ...READS_STOCK,
      ...WRITES,
      ...READS.filter((line) => line !== 'PING'),
      ...ADMINISTERS.filter((line) => !line.startsWith('DEBUG')),
      'INFO',
    ])
  })

  it('dashboard reads everything and writes nothing', () => {
    const dashboard = as('dashboard')
    can(dashboard, [
      ...READS_STOCK,
      ...READS,
      ...CONNECTS,
      'INFO',
      'DBSIZE',
      'STOCK.OUTBOX STATUS',
      'STOCK.AOF STATUS',
      'STOCK.AUDIT STATUS',
    ])
    can(dashboard, ['SUBSCRIBE __stock__:available', 'UNSUBSCRIBE'])
    cannot(dashboard, [
      ...SELLS,
      ...WRITES,
      'GETDEL page',
      'GETEX page EX 1',
      'PUBLISH news x',
      'STOCK.OUTBOX SEEK 0 0',
      'STOCK.AOF COMPACT',
    ])
    cannot(
      dashboard,
      ADMINISTERS.filter((line) => !line.startsWith('DEBUG')),
    )
  })
})
