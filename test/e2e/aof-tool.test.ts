// stockd-aof against directories that a node wrote, beside redis-check-aof and redis-server: what one writes the other accepts.

import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { run } from '../support/run.ts'
import type { Finished } from '../support/run.ts'
import { HAS_REDIS, STOCKD_AOF, startNode, startRedis } from '../support/server.ts'
import { tempDir } from '../support/temp-dir.ts'

function tool(...args: string[]): Promise<Finished> {
  return run([process.execPath, STOCKD_AOF, ...args])
}

/** A directory with keys in two databases, a sale, and more than one batch; the node was killed. */
async function soldOut(): Promise<string> {
  const directory = tempDir()
  // The tests count records: no audit mark among them, however slow the machine is.
  await using node = await startNode({ args: ['--dir', directory, '--appendfsync', 'always', '--audit-mark-interval', '0'] })
  await using client = await node.connect()
  await client.call('SET', 'greeting', 'hello')
  await client.call('SELECT', '5')
  await client.call('SET', 'there', 'line\r\nbreak', 'PX', '10000000')
  await client.call('SELECT', '0')
  await client.call('STOCK.CREATE', 'book', '2')
  await client.call('STOCK.RESERVE', '{ann}1', 'ITEMS', 'book', '1')
  await client.call('STOCK.CONFIRM', '{ann}1')
  await client.call('STOCK.RESERVE', '{bob}2', 'ITEMS', 'book', '1')
  await client.call('APPEND', 'greeting', ' world')
  await node.kill9()
  return directory
}

const manifestOf = (directory: string): string => join(directory, 'appendonlydir', 'appendonly.aof.manifest')

function newestSegment(directory: string): string {
  const names = readdirSync(join(directory, 'appendonlydir')).filter((name) => name.endsWith('.incr.aof'))
  return join(directory, 'appendonlydir', names.sort().at(-1) ?? '')
}

function copyOf(directory: string): string {
  const copy = tempDir()
  cpSync(directory, copy, { recursive: true })
  return copy
}

describe('stockd-aof', () => {
  it('refuses what it does not understand, in one line, with exit code 4', async () => {
    const wrong = [
      [],
      ['frob'],
      ['check'],
      ['check', '/none/such'],
      ['check', tempDir()],
      ['dump', '.', '--from', 'x'],
      ['fix', '.'],
      ['digest', '.', '--frob'],
    ]
    const results = await Promise.all(wrong.map((args) => tool(...args)))
    for (const [i, { code, stdout, stderr }] of results.entries()) {
      const args = wrong[i]
      expect(code, args.join(' ')).toBe(4)
      expect(stderr, args.join(' ')).toMatch(/^stockd-aof: [^\n]+\n$/)
      expect(stdout).toBe('')
    }
  })

  it('says what a start would do: 0 sound, 1 torn, 2 corrupt', async () => {
    const directory = await soldOut()
    const sound = await tool('check', directory, '--json')
    expect(JSON.parse(sound.stdout)).toMatchObject({ status: 'ok', last: 11, inUse: false })
    expect(sound.code).toBe(0)

    const torn = copyOf(directory)
    truncateSync(newestSegment(torn), readFileSync(newestSegment(torn)).length - 5)
    const tornCheck = await tool('check', torn)
    expect(tornCheck.stdout).toContain('TORN TAIL')
    expect(tornCheck.code).toBe(1)

    const rotten = copyOf(directory)
    const bytes = readFileSync(newestSegment(rotten))
    bytes[bytes.indexOf('hello')] ^= 1
    writeFileSync(newestSegment(rotten), bytes)
    const rottenCheck = await tool('check', rotten, '--json')
    expect(JSON.parse(rottenCheck.stdout)).toMatchObject({ status: 'corrupt', lsn: 1 })
    expect(rottenCheck.code).toBe(2)
  })

  it('3: sound bytes whose records contradict each other', async () => {
    const source = tempDir()
    const file = join(source, 'a.aof')
    writeFileSync(file, '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$5\r\nRPUSH\r\n$1\r\na\r\n')
    const { code, stderr } = await tool('import', file, join(source, 'new'))
    expect(code).toBe(3)
    expect(stderr).toMatch(/^stockd-aof: command 2 \(RPUSH\) cannot be imported: ERR [^\n]+\n$/)
  })

  it('fix writes a copy and never touches the original', async () => {
    const directory = await soldOut()
    const segment = newestSegment(directory)
    truncateSync(segment, readFileSync(segment).length - 5)
    const before = readFileSync(segment)
    const to = join(tempDir(), 'fixed')
    expect((await tool('fix', directory, '--to', directory)).code).toBe(4)
    expect((await tool('fix', directory, '--to', to)).code).toBe(0)
    expect(readFileSync(segment)).toEqual(before)
    expect((await tool('check', to)).code).toBe(0)
    expect(JSON.parse((await tool('digest', to, '--json')).stdout)).toMatchObject({ last: 9 })
  })

  it('fix --truncate-at leaves out what is behind a record only with consent, and names the orders', async () => {
    const directory = await soldOut()
    const segment = newestSegment(directory)
    const bytes = readFileSync(segment)
    bytes[bytes.indexOf('ORDER.CONFIRMED')] ^= 1
    writeFileSync(segment, bytes)
    const to = join(tempDir(), 'fixed')
    const refused = await tool('fix', directory, '--to', to)
    expect(refused.code).toBe(2)
    expect(refused.stdout).toMatch(/--truncate-at 6 --i-accept-loss/)
    expect((await tool('fix', directory, '--to', to, '--truncate-at', '6')).code).toBe(4)
    expect(existsSync(to)).toBe(false)
    const beyond = await tool('fix', directory, '--to', join(tempDir(), 'x'), '--truncate-at', '7', '--i-accept-loss')
    expect(beyond.stderr).toContain('truncate at 6 or before')
    const fixed = await tool('fix', directory, '--to', to, '--truncate-at', '6', '--i-accept-loss', '--json')
    expect(JSON.parse(fixed.stdout)).toMatchObject({ last: 6, lost: [{ lsn: 8, record: 'ORDER.RESERVED', order: '{bob}2' }] })
    expect((await tool('check', to)).code).toBe(0)
    const dump = await tool('dump', to, '--order', '{ann}1')
    expect(dump.stdout.trim().split('\n')).toHaveLength(1)
  })

  it('fix --truncate-at cuts within a batch', async () => {
    const directory = tempDir()
    const source = join(tempDir(), 'plain.aof')
    writeFileSync(source, Array.from({ length: 10 }, (_, i) => `*3\r\n$3\r\nSET\r\n$1\r\n${i}\r\n$1\r\nv\r\n`).join(''))
    expect((await tool('import', source, join(directory, 'log'))).code).toBe(0)
    const to = join(directory, 'cut')
    expect((await tool('fix', join(directory, 'log'), '--to', to, '--truncate-at', '4', '--i-accept-loss')).code).toBe(0)
    // LSN 1 is the SELECT.
    expect((await tool('dump', to)).stdout.match(/ SET /g)).toHaveLength(3)
  })

  it('what cannot be finished leaves no half of a log behind', async () => {
    const place = tempDir()
    const source = join(place, 'torn.aof')
    writeFileSync(source, '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*3\r\n$3\r\nSE')
    expect((await tool('import', source, join(place, 'imported'))).code).toBe(2)

    const directory = await soldOut()
    const bytes = readFileSync(newestSegment(directory))
    bytes[bytes.indexOf('ORDER.CONFIRMED')] ^= 1
    writeFileSync(newestSegment(directory), bytes)
    expect((await tool('fix', directory, '--to', join(place, 'fixed'), '--truncate-at', '7', '--i-accept-loss')).code).toBe(2)
    expect((await tool('export', directory, '--redis', join(place, 'exported'))).code).toBe(2)
    expect(readdirSync(place, { recursive: true }).sort()).toEqual(['exported', 'torn.aof'])
  })

  it('dump shows records as lines, all bytes escaped', async () => {
    const directory = await soldOut()
    const all = await tool('dump', directory)
    expect(all.stdout.split('\n')).toHaveLength(12)
    expect(all.stdout).toMatch(/^4 \S+Z SET "there" "line\\r\\nbreak" "PXAT" "\d+"$/m)
    const ranged = await tool('dump', directory, '--from', '5', '--to', '6', '--json')
    expect(
      ranged.stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { lsn: number }).lsn),
    ).toEqual([5, 6])
    const sku = await tool('dump', directory, '--sku', 'book')
    expect(
      sku.stdout
        .trim()
        .split('\n')
        .every((line) => line.includes('"book"')),
    ).toBe(true)
  })
})

describe.skipIf(!HAS_REDIS)('Redis', () => {
  it('redis-check-aof accepts a live directory, a recovered one, and one after rotation and compaction', async () => {
    const directory = tempDir()
    for (let life = 0; life < 2; life++) {
      await using node = await startNode({ args: ['--dir', directory, '--appendfsync', 'everysec'] })
      await using client = await node.connect()
      for (let i = 0; i < 200; i++) await client.call('SET', `key${i}`, `value${life}`)
      await client.call('BGREWRITEAOF')
      await client.call('STOCK.CREATE', `book${life}`, '2')
      const checked = await run(['redis-check-aof', manifestOf(directory)])
      expect(checked.stdout).toContain('All AOF files and manifest are valid')
      expect((await tool('check', directory)).code).toBe(0)
      await node.kill9()
    }
  })

  it('redis-server loads an export, in every database, and import brings it back', async () => {
    const directory = await soldOut()
    const target = tempDir()
    const exported = await tool('export', directory, '--redis', target, '--json')
    expect(JSON.parse(exported.stdout)).toMatchObject({ written: 3, skipped: 5 })
    expect(readFileSync(join(target, 'appendonlydir', 'appendonly.aof.1.incr.aof'), 'latin1')).not.toMatch(/^#/m)
    await using redis = await startRedis({ args: ['--dir', target, '--appendonly', 'yes', '--aof-use-rdb-preamble', 'no'] })
    await using client = await redis.connect()
    expect(String(await client.call('GET', 'greeting'))).toBe('hello world')
    await client.call('SELECT', '5')
    expect(String(await client.call('GET', 'there'))).toBe('line\r\nbreak')
    expect(Number(await client.call('PTTL', 'there'))).toBeGreaterThan(0)

    // And back: what redis-server has written since, base and all.
    await client.call('SET', 'from', 'redis')
    await client.call('BGREWRITEAOF')
    await client.call('SET', 'later', 'still')
    await client.call('CONFIG', 'SET', 'appendfsync', 'always')
    await redis.stop()
    const back = join(tempDir(), 'back')
    const imported = await tool('import', target, back)
    expect(imported.stderr).toBe('')
    expect(imported.code).toBe(0)
    await using node = await startNode({ args: ['--dir', back] })
    await using again = await node.connect()
    expect(String(await again.call('GET', 'greeting'))).toBe('hello world')
    await again.call('SELECT', '5')
    expect(String(await again.call('GET', 'from'))).toBe('redis')
    expect(String(await again.call('GET', 'later'))).toBe('still')
  })

  it('import refuses an RDB preamble and a torn end by name', async () => {
    const directory = tempDir()
    mkdirSync(directory, { recursive: true })
    const rdb = join(directory, 'rdb.aof')
    writeFileSync(rdb, 'REDIS0010xxxxxxxx')
    expect((await tool('import', rdb, join(directory, 'a'))).stderr).toContain('RDB preamble')
    const torn = join(directory, 'torn.aof')
    writeFileSync(torn, '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*3\r\n$3\r\nSE')
    const { code, stderr } = await tool('import', torn, join(directory, 'b'))
    expect(stderr).toContain('not a whole command')
    expect(code).toBe(2)
  })
})
