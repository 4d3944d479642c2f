import { describe, expect, it } from 'vitest'
import { millis } from '../../../src/base/brand.ts'
import { Random } from '../../../src/base/random.ts'
import { Call } from '../../../src/engine/call.ts'
import { Engine, type EngineOptions } from '../../../src/engine/engine.ts'
import { Journal } from '../../../src/engine/journal.ts'
import { Reply } from '../../../src/resp/reply.ts'
import { Request } from '../../../src/resp/request.ts'

const NOW = 1_700_000_000_000
type Word = string | number

/** An engine with one client, and the records that it wrote. */
class Node {
  readonly engine: Engine
  readonly #reply = new Reply()
  readonly #client = { database: 0 }
  readonly #call: Call
  readonly records: Buffer[][] = []
  #now = NOW

  constructor(options: Partial<EngineOptions> = {}) {
    this.engine = new Engine({ seed: 5, ...options })
    this.#call = new Call(this.engine, new Request(), this.#reply, this.#client)
    this.wait(0)
  }

  select(database: number): this {
    this.#client.database = database
    return this
  }

  /** Runs one command (words without spaces, or a list). @returns the reply's bytes. */
  run(command: string | readonly (Word | Buffer)[], protocol: 2 | 3 = 2): string {
    this.#reply.length = 0
    this.#reply.protocol = protocol
    const words = typeof command === 'string' ? command.split(' ') : command
    this.#call.request.set(words)
    const before = this.engine.journal.total
    this.engine.execute(this.#call)
    const reply = this.#reply.buffer.toString('latin1', 0, this.#reply.length)
    if (reply.startsWith('-') && this.engine.journal.total !== before) {
      // A key that was due may go, whatever the command says.
      expect(recordsIn(this.engine.journal).every(([name]) => /^(SELECT|DEL)$/.test(name.toString()))).toBe(true)
    }
    this.#drain()
    return reply
  }

  /** Time goes on. Without `advance` nobody looks for due keys: they go when they are looked up. */
  wait(ms: number, advance = true): void {
    this.#now += ms
    this.engine.now = millis(this.#now)
    if (advance) this.engine.advance(millis(this.#now))
    else this.engine.keyspace.now = this.#now
    this.#drain()
  }

  /** The records so far, as text. */
  get log(): string[] {
    return this.records.map((record) => record.map((word) => word.toString('latin1')).join(' '))
  }

  #drain(): void {
    this.records.push(...recordsIn(this.engine.journal))
    this.engine.journal.drained()
  }
}

function recordsIn(journal: Journal): Buffer[][] {
  const records: Buffer[][] = []
  let at = 0
  const line = (): number => {
    const end = journal.buffer.indexOf('\r\n', at)
    const n = Number(journal.buffer.toString('latin1', at + 1, end))
    at = end + 2
    return n
  }
  while (at < journal.length) {
    records.push(
      Array.from({ length: line() }, () => {
        const length = line()
        at += length + 2
        return Buffer.from(journal.buffer.subarray(at - length - 2, at - 2))
      }),
    )
  }
  return records
}

/** A new engine that has replayed these records, under another hash seed. */
function replayed(records: readonly Buffer[][]): Engine {
  const engine = new Engine({ seed: 6 })
  const request = new Request()
  for (const record of records) engine.replay(request.set(record))
  expect(engine.journal.length).toBe(0)
  return engine
}

function snapshotOf(engine: Engine): Buffer[][] {
  const journal = new Journal()
  const records: Buffer[][] = []
  for (const _ of engine.snapshot(journal)) {
    records.push(...recordsIn(journal))
    journal.drained()
  }
  return records
}

const OK = '+OK\r\n'
const NIL = '$-1\r\n'
const WRONG_TYPE = '-WRONGTYPE Operation against a key holding the wrong kind of value\r\n'

describe('records of ordinary keys', () => {
  it('say what is true afterwards, with absolute times', () => {
    const node = new Node()
    for (const command of [
      'set a 1',
      'set a 2 ex 10 nx',
      'set a 2 px 10 xx',
      'set a 3 keepttl',
      'incr a',
      'incr b',
      'incrbyfloat b 1.5',
      'decrby n 9223372036854775807',
      'append a x',
      'append c',
      'append c xyz',
      'setrange c 5 !',
      'getset c new',
      'getex c ex 100',
      'getex c persist',
      'getex c',
      'expire c 100',
      'expire c 50 gt',
      'persist c',
      'persist c',
      'rename c d',
      'renamenx d a',
      'copy d e',
      'copy d e',
      'mset x 1 y 2',
      'msetnx x 1 z 2',
      'del x y none',
      'getdel d',
      'expire e -1',
      'setnx e 1',
      'setnx e 2',
    ]) {
      node.run(command)
    }
    node.run(['append', 'e', ''])
    node.run('move e 3')
    node.select(3).run('set e 2 exat 1')
    node.run('get e')
    node.run('swapdb 3 4')
    node.run('swapdb 3 3')
    node.run('flushdb')
    node.run('flushall async')
    expect(node.log).toEqual([
      'SELECT 0',
      'SET a 1',
      'SELECT 0',
      `SET a 2 PXAT ${NOW + 10}`,
      'SELECT 0',
      'SET a 3 KEEPTTL',
      'SELECT 0',
      'SET a 4 KEEPTTL',
      'SELECT 0',
      'SET b 1',
      'SELECT 0',
      'SET b 2.5',
      'SELECT 0',
      'SET n -9223372036854775807',
      'SELECT 0',
      'APPEND a x',
      'SELECT 0',
      'SET c xyz',
      'SELECT 0',
      'SETRANGE c 5 !',
      'SELECT 0',
      'SET c new',
      'SELECT 0',
      `PEXPIREAT c ${NOW + 100_000}`,
      'SELECT 0',
      'PERSIST c',
      'SELECT 0',
      `PEXPIREAT c ${NOW + 100_000}`,
      'SELECT 0',
      'PERSIST c',
      'SELECT 0',
      'RENAME c d',
      'SELECT 0',
      'COPY d e REPLACE',
      'SELECT 0',
      'MSET x 1 y 2',
      'SELECT 0',
      'DEL x',
      'DEL y',
      'SELECT 0',
      'DEL d',
      'SELECT 0',
      'DEL e',
      'SELECT 0',
      'SET e 1',
      'SELECT 0',
      'APPEND e ',
      'SELECT 0',
      'MOVE e 3',
      'SELECT 3',
      'SET e 2 PXAT 1000',
      'SELECT 3',
      'DEL e',
      'SWAPDB 3 4',
      'SELECT 3',
      'FLUSHDB',
      'FLUSHALL',
    ])
    expect(replayed(node.records).digest()).toBe(node.engine.digest())
  })

  it('a key that expires is deleted with a record, when it is looked up or when its time comes', () => {
    const node = new Node()
    node.run('set a 1 px 10')
    node.run('set b 1 px 10')
    node.wait(10)
    expect(node.run('get a')).toBe('$1\r\n1\r\n')
    expect(node.run('pttl a')).toBe(':0\r\n')
    node.wait(1, false)
    node.records.length = 0
    expect(node.run('dbsize')).toBe(':2\r\n')
    expect(node.run('keys *')).toBe('*0\r\n')
    expect(node.run('scan 0')).toBe('*2\r\n$1\r\n0\r\n*0\r\n')
    expect(node.log).toEqual([])
    expect(node.run('incr a')).toBe(':1\r\n')
    expect(node.log).toEqual(['SELECT 0', 'DEL a', 'SET a 1'])
    node.wait(0)
    expect(node.log.slice(3)).toEqual(['SELECT 0', 'DEL b'])
    expect(node.engine.keyspace.expiredKeys).toBe(2)
    expect(node.engine.nextDeadline()).toBe(Infinity)
  })

  it('replaying does not look at the clock: a key that is long due stays until its record says that it went', () => {
    const node = new Node()
    node.run(`set a 1 pxat ${NOW + 5}`)
    const engine = replayed(node.records)
    engine.recovered(millis(NOW + 1000))
    expect(engine.keyspace.size).toBe(1)
    engine.advance(millis(NOW + 1000))
    expect(engine.keyspace.size).toBe(0)
    expect(recordsIn(engine.journal).map(String)).toEqual(['SELECT,0', 'DEL,a'])
  })

  it.each([
    ['DEL none'],
    ['PEXPIREAT none 5'],
    ['PERSIST none'],
    ['APPEND none x'],
    ['RENAME none other'],
    ['COPY none other REPLACE'],
    ['MOVE none 1'],
    ['SELECT 99'],
    ['SET a'],
    ['SET a 1 PXAT x'],
    ['SET a 1 NX'],
    ['MSET a'],
    ['SETRANGE a -1 x'],
    ['HSET a b'],
    ['HSET a b c d'],
    ['HDEL a b'],
    ['SADD a'],
    ['SADD a b b'],
    ['SREM a b'],
    ['XADD a * b c'],
  ])('a record that contradicts the state stops the replay: %s', (record) => {
    const engine = new Engine()
    expect(() => engine.replay(new Request().set(record.split(' ')))).toThrow(expect.objectContaining({ code: 'LOG_SEMANTIC' }))
  })

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('a log and a snapshot of random commands give the same state again (seed %i)', (seed) => {
    const random = new Random(seed)
    const node = new Node({ allowStockFlush: true })
    const key = (): string => random.pick(['a', 'b', 'c', 'd', '', 'k\0\r\n', '__proto__', 'long'.repeat(30)])
    const value = (): string =>
      random.pick(['1', '-5', '', 'text', '3.5', '9223372036854775807', '\r\n', 'v'.repeat(random.below(2000)), 'big'.repeat(20_000)])
    const ms = (): number => random.pick([0, 1, 5, 50, 500, 100_000])
    const member = (): Word =>
      random.pick<Word>(['', 'a', '__proto__', '\0\r\n', 'x'.repeat(70), random.below(1000), -7, '9223372036854775807'])
    const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
    const makers: (() => Word[])[] = [
      () => ['SET', key(), value()],
      () => [
        'SET',
        key(),
        value(),
        ...random.pick<Word[]>([['PX', ms()], ['KEEPTTL'], ['PXAT', NOW + ms()], ['NX'], ['XX', 'GET'], ['PXAT', '9223372036854775807']]),
      ],
      () => ['MSET', key(), value(), key(), value()],
      () => ['MSETNX', key(), value(), key(), value()],
      () => ['GETSET', key(), value()],
      () => ['GETDEL', key()],
      () => ['GETEX', key(), ...random.pick<Word[]>([['PX', ms()], ['PERSIST'], ['PXAT', NOW + ms()], []])],
      () => ['APPEND', key(), value()],
      () => ['SETRANGE', key(), random.below(3000), value()],
      () => ['INCRBY', key(), random.pick([1, -7, '9223372036854775807'])],
      () => ['INCRBYFLOAT', key(), random.pick(['0.1', '1e20', '-3'])],
      () => ['DEL', key(), key()],
      () => ['PEXPIRE', key(), ms(), ...random.pick<Word[]>([[], ['NX'], ['GT'], ['LT']])],
      () => ['PERSIST', key()],
      () => ['RENAME', key(), key()],
      () => ['RENAMENX', key(), key()],
      () => ['COPY', key(), key(), ...random.pick<Word[]>([[], ['REPLACE'], ['DB', 1, 'REPLACE'], ['DB', 2]])],
      () => ['MOVE', key(), random.below(4)],
      () => ['GET', key()],
      () => (random.chance(0.1) ? ['SWAPDB', random.below(4), random.below(4)] : ['DBSIZE']),
      () => (random.chance(0.1) ? [random.pick(['FLUSHDB', 'FLUSHALL'])] : ['RANDOMKEY']),
      () => ['STOCK.CREATE', key(), 5],
      () => ['HSET', key(), member(), value(), member(), value()],
      () => ['HSET', key(), ...range(random.pick([20, 200, 600])).flatMap((n) => [`f${n}`, n])],
      () => ['HDEL', key(), member(), member()],
      () => ['HDEL', key(), ...range(600).map((n) => `f${n}`)],
      () => ['HINCRBY', key(), member(), 5],
      () => ['HINCRBYFLOAT', key(), member(), '0.5'],
      () => ['SADD', key(), member(), member(), member()],
      () => ['SADD', key(), ...range(random.pick([20, 200, 600]))],
      () => ['SREM', key(), member(), ...range(500)],
      () => ['SPOP', key()],
      () => ['SPOP', key(), random.pick([1, 10, 300])],
      () => ['SMOVE', key(), key(), member()],
      () => [random.pick(['SUNIONSTORE', 'SINTERSTORE', 'SDIFFSTORE']), key(), key(), key()],
    ]
    for (let step = 0; step < 2000; step++) {
      if (random.chance(0.1)) node.wait(random.below(30), random.chance(0.5))
      node.select(random.below(4))
      node.run(random.pick(makers)(), random.pick([2, 3]))
      if (step % 500 !== 499) continue
      for (const engine of [replayed(node.records), replayed(snapshotOf(node.engine))]) {
        expect(engine.keyspace.digest()).toBe(node.engine.keyspace.digest())
        expect(engine.digest()).toBe(node.engine.digest())
        expect(engine.sealDigest()).toBe(node.engine.sealDigest())
      }
    }
  })
})

describe('SKUs among the keys', () => {
  const stocked = (options: Partial<EngineOptions> = {}): Node => {
    const node = new Node(options)
    expect(node.run('STOCK.CREATE sku 5')).toBe(':1\r\n')
    node.run('set text 1')
    return node
  }

  it.each([
    'set sku 1',
    'set sku 1 nx',
    'set sku 1 xx get',
    'setnx sku 1',
    'setex sku 10 1',
    'psetex sku 10 1',
    'get sku',
    'getset sku 1',
    'getdel sku',
    'getex sku',
    'mset text 2 sku 1',
    'msetnx new 2 sku 1',
    'append sku x',
    'strlen sku',
    'getrange sku 0 1',
    'setrange sku 0 x',
    'incr sku',
    'decrby sku 1',
    'incrbyfloat sku 1',
    'del sku',
    'del text sku',
    'unlink text sku',
    'expire sku 10',
    'pexpireat sku 1',
    'persist sku',
    'rename sku new',
    'rename text sku',
    'renamenx sku new',
    'renamenx text sku',
    'copy sku new',
    'copy text sku',
    'copy text sku replace',
    'move sku 1',
  ])('%s answers WRONGTYPE and does nothing', (command) => {
    const node = stocked()
    const digest = node.engine.digest()
    const { length } = node.records
    expect(node.run(command)).toBe(WRONG_TYPE)
    expect(node.engine.digest()).toBe(digest)
    expect(node.records).toHaveLength(length)
  })

  it('are not overwritten from another database', () => {
    const node = stocked()
    node.select(1).run('set sku 1')
    node.run('set a 1')
    expect(node.run('copy a sku db 0 replace')).toBe(WRONG_TYPE)
    expect(node.run('move sku 0')).toBe(WRONG_TYPE)
    expect(node.run('get sku')).toBe('$1\r\n1\r\n')
  })

  it('are seen like other keys', () => {
    const node = stocked()
    expect(node.run('exists sku text')).toBe(':2\r\n')
    expect(node.run('type sku')).toBe('+stock\r\n')
    expect(node.run('ttl sku')).toBe(':-1\r\n')
    expect(node.run('pexpiretime sku')).toBe(':-1\r\n')
    expect(node.run('object encoding sku')).toBe('$5\r\nstock\r\n')
    expect(node.run('object refcount sku')).toBe(':1\r\n')
    expect(node.run('touch sku')).toBe(':1\r\n')
    expect(node.run('dbsize')).toBe(':2\r\n')
    expect(node.run('keys s*')).toBe('*1\r\n$3\r\nsku\r\n')
    expect(node.run('scan 0 type stock')).toBe('*2\r\n$1\r\n0\r\n*1\r\n$3\r\nsku\r\n')
    expect(node.run('scan 0 type string')).toBe('*2\r\n$1\r\n0\r\n*1\r\n$4\r\ntext\r\n')
    expect(node.run('mget sku text')).toBe('*2\r\n$-1\r\n$1\r\n1\r\n')
    expect(node.run('memory usage sku')).toMatch(/^:\d+\r\n$/)
  })

  it.each(['flushdb', 'flushall', 'flushall async', 'swapdb 0 1', 'swapdb 2 0'])('%s answers INUSE and flushes nothing', (command) => {
    const node = stocked()
    expect(node.run(command)).toMatch(/^-INUSE /)
    expect(node.run('dbsize')).toBe(':2\r\n')
  })

  it('other databases may go while there is stock', () => {
    const node = stocked()
    node.select(1).run('set a 1')
    expect(node.run('swapdb 1 2')).toBe(OK)
    expect(node.run('get a')).toBe(NIL)
    expect(node.select(2).run('flushdb')).toBe(OK)
    expect(node.run('dbsize')).toBe(':0\r\n')
    expect(node.select(0).run('dbsize')).toBe(':2\r\n')
  })

  it.each([
    ['flushdb', 0],
    ['flushall', 0],
    ['swapdb 0 1', 0],
  ])('%s forgets them and their orders if the operator allows it, as one record', (command, left) => {
    const node = stocked({ allowStockFlush: true })
    node.run('STOCK.RESERVE {ann}1 ITEMS sku 2')
    const { length } = node.records
    expect(node.run(command)).toBe(OK)
    expect(node.log.slice(length).filter((record) => !record.startsWith('SELECT'))).toHaveLength(1)
    expect(node.run('dbsize')).toBe(`:${left}\r\n`)
    expect(node.run('exists sku')).toBe(':0\r\n')
    expect(node.run('STOCK.CONFIRM {ann}1')).toContain('UNKNOWN')
    expect(replayed(node.records).digest()).toBe(node.engine.digest())
    expect(node.run('STOCK.CREATE sku 7')).toBe(':1\r\n')
  })

  it('stock:events belongs to the node', () => {
    const node = new Node()
    for (const command of [
      'set stock:events 1',
      'del stock:events',
      'mset a 1 stock:events 2',
      'incr stock:events',
      'append stock:events x',
    ]) {
      expect(node.run(command)).toMatch(/^-READONLY /)
    }
    node.run('set a 1')
    expect(node.run('rename a stock:events')).toMatch(/^-READONLY /)
    expect(node.run('get stock:events')).toBe(NIL)
    expect(node.select(1).run('set stock:events 1')).toBe(OK)
  })
})

describe('counts for INFO', () => {
  it('hits and misses are counted by readers, as in Redis', () => {
    const node = new Node()
    node.run('set a 1')
    for (const command of ['get a', 'get b', 'mget a b', 'exists a b', 'type a', 'ttl b', 'strlen a', 'incr a', 'set a 1', 'del b'])
      node.run(command)
    expect([node.engine.keyspace.hits, node.engine.keyspace.misses]).toEqual([5, 4])
  })
})
