// SECURITY, section 2: what JavaScript makes easy to get wrong. One test for each line of its table.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { weaknessOf } from '../../../src/cli/node-version.ts'
import { within } from '../../support/eventually.ts'
import { freePort } from '../../support/port.ts'
import { encodeRequest, ErrorReply } from '../../support/raw-client.ts'
import type { Argument, RawClient } from '../../support/raw-client.ts'
import { startNode } from '../../support/server.ts'
import type { Server } from '../../support/server.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
/** Loads this into the process of a node, before it starts. */
const preload = (code: string): string[] => ['--import', `data:text/javascript,${encodeURIComponent(code)}`]

const NAMES: readonly Argument[] = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '',
  '\u2028',
  Buffer.from([0, 0xff, 13, 10, 27, 125]),
]
const NO_INTEGERS = ['+1', ' 1', '1 ', '1e3', '0x1', '01', '-0', '', '１', '1.0', '9223372036854775808', '99999999999999999999999']

let node: Server
let http: number
beforeAll(async () => {
  http = await freePort()
  node = await startNode({ args: ['--http', String(http), '--enable-debug-command', 'yes'] })
})
afterAll(async () => {
  // Whatever was done to it: it is there, it has no bug to report, and it stops as it should.
  expect(node.log()).not.toMatch(/please report this/)
  expect(await node.stop()).toEqual({ code: 0, signal: null })
})

describe('no name from outside reaches a prototype', () => {
  it('every program runs without __proto__, however it is started, its threads too', async () => {
    for (const name of readdirSync(join(ROOT, 'bin'))) {
      const file = join(ROOT, 'bin', name)
      const [shebang] = readFileSync(file, 'utf8').split('\n')
      expect(shebang, name).toBe('#!/usr/bin/env -S node --disable-proto=delete')
      const look = 'process.on("exit", () => console.log("__proto__" in {} ? "reachable" : "gone"))'
      expect(execFileSync(process.execPath, [...preload(look), file, '--version']).toString(), name).toMatch(/\ngone\n$/)
    }
    const threads = sourcesOf('src').filter((file) => /parentPort/.test(readFileSync(file, 'utf8')))
    expect(threads.length).toBeGreaterThan(1)
    for (const file of threads) expect(readFileSync(file, 'utf8'), file).toMatch(/delete \(Object\.prototype as [^)]*\)\.__proto__/)
  })

  it('names of any bytes are names, everywhere', async () => {
    await using client = await node.connect()
    for (const name of NAMES) {
      const bytes = name instanceof Uint8Array ? Buffer.from(name) : Buffer.from(String(name))
      const text = bytes.toString('latin1')
      const id = Buffer.concat([Buffer.from('{b'), bytes.subarray(0, -1), Buffer.from('}1')])
      const sku = Buffer.concat([Buffer.from('sku'), bytes])
      expect(await client.call('SET', bytes, bytes)).toBe('OK')
      expect(await client.call('GET', bytes)).toBe(text)
      expect(await client.call('STOCK.CREATE', sku, 5)).toBe(1)
      expect(await client.call('STOCK.RESERVE', id, 'REF', 'r', 'ITEMS', sku, 1)).toMatchObject(['OK', expect.any(Number), 4, 1, ''])
      expect(await client.call('STOCK.ORDERS', id.subarray(1, -2))).toEqual(['0', [id.toString('latin1')]])
      expect(await client.call('STOCK.ADJUST', sku, 1, 'ID', Buffer.concat([Buffer.from('a'), bytes]))).toMatchObject(['OK', 6, 5, ''])
      expect(await client.call('CONFIG', 'GET', bytes)).toEqual([])
      for (const command of [
        [bytes],
        ['CONFIG', 'SET', bytes, '1'],
        ['CLIENT', bytes],
        ['CLIENT', 'KILL', 'TYPE', bytes],
        ['FCALL', bytes, 1, 'a'],
        ['HELLO', 3, bytes],
      ])
        expect(await client.call(...command), String(command)).toBeInstanceOf(ErrorReply)
      await client.call('DEL', bytes)
      // A field, a member, a buyer, a channel, a name of a client's.
      expect(await client.call('HSET', 'names:h', bytes, 'v')).toBe(1)
      expect(await client.call('HGET', 'names:h', bytes)).toBe('v')
      expect(await client.call('SADD', 'names:s', bytes)).toBe(1)
      expect(await client.call('SISMEMBER', 'names:s', bytes)).toBe(1)
      expect(await client.call('ZADD', 'names:z', 1, bytes)).toBe(1)
      expect(await client.call('ZSCORE', 'names:z', bytes)).toBe('1')
      expect(await client.call('PUBLISH', bytes, bytes)).toBe(0)
      expect(await client.call('WATCH', bytes)).toBe('OK')
      expect(await client.call('STOCK.ORDER', id)).not.toBe(null)
    }
    expect(await client.call('STOCK.VERIFY')).toEqual([NAMES.length, NAMES.length, 0])
  })

  it('and those names are there after a restart, as they were', async () => {
    await using server = await startNode()
    {
      await using client = await server.connect()
      for (const name of NAMES) await client.call('HSET', name, name, name)
      await client.call('BGREWRITEAOF')
    }
    await server.stop()
    await using again = await startNode({ dir: server.dir })
    await using client = await again.connect()
    for (const name of NAMES) {
      const text = Buffer.from(name as string).toString('latin1')
      expect(await client.call('HGETALL', name)).toEqual([text, text])
    }
    expect(await client.call('DBSIZE')).toBe(NAMES.length)
  })

  it('nor one of the HTTP door: paths, queries, headers, a body', async () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '%00', '\u2028']) {
      const path = encodeURIComponent(name)
      expect((await fetch(`http://127.0.0.1:${http}/${path}`)).status).toBe(404)
      const response = await fetch(`http://127.0.0.1:${http}/healthz?${path}=1&${path}[polluted]=1`)
      expect([response.status, Object.keys((await response.json()) as object).includes('polluted')]).toEqual([200, false])
    }
    const body = '{"__proto__":{"polluted":1}}'
    expect((await fetch(`http://127.0.0.1:${http}/healthz`, { method: 'POST', body })).status).toBe(405)
    expect(await headerAnswer(`GET /healthz HTTP/1.1\r\nHost: x\r\n__proto__: x\r\nconstructor: y\r\nConnection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 200/,
    )
  })
})

describe('hashes that anybody can compute', () => {
  it('engines asks for a Node that is mended, and a start on an older one says so', () => {
    const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { engines: { node: string } }
    expect(engines.node).toBe('^24.14.1 || >=25.8.2')
    for (const version of ['24.0.0', '24.4.1', '24.14.0', '25.0.0', '25.8.1'])
      expect(weaknessOf(version), version).toMatch(/CVE-2026-21717/)
    for (const version of ['24.14.1', '24.21.0', '25.8.2', '25.9.0', '26.0.0', '30.1.2']) expect(weaknessOf(version), version).toBeNull()
    expect(weaknessOf(process.versions.node)).toBeNull()
  })

  // What hung a server: strings whose hash is their number, so that all of them meet in one place of a table of 2^17.
  const MEETING = Array.from({ length: 2 ** 17 }, (_, i) => String((i * 2 ** 17) % 16_777_213))
  it.each([
    ['keys', (words: string[]): Argument[] => ['MSET', ...words.flatMap((word) => [word, '1'])]],
    ['keys that are asked for', (words: string[]): Argument[] => ['EXISTS', ...words]],
    ['fields of a hash', (words: string[]): Argument[] => ['HSET', 'flood:hash', ...words.flatMap((word) => [word, '1'])]],
    ['members of a set', (words: string[]): Argument[] => ['SADD', 'flood:set', ...words]],
    ['members of a sorted set', (words: string[]): Argument[] => ['ZADD', 'flood:zset', ...words.flatMap((word) => ['1', word])]],
    ['channels', (words: string[]): Argument[] => ['SUBSCRIBE', ...words.slice(0, 50_000)]],
    ['patterns', (words: string[]): Argument[] => ['PSUBSCRIBE', ...words.slice(0, 20_000)]],
    ['keys that are watched', (words: string[]): Argument[] => ['WATCH', ...words]],
  ])('two megabytes of strings that look like integers, as %s: seconds at most', async (_, command) => {
    await using client = await node.connect()
    await using other = await node.connect()
    const request = encodeRequest(command(MEETING))
    const began = performance.now()
    client.send(request)
    await client.read()
    expect(await other.call('PING')).toBe('PONG')
    expect(performance.now() - began).toBeLessThan(5000)
  })

  it('as users, options and words of commands too', async () => {
    await using client = await node.connect()
    const began = performance.now()
    await client.pipeline(MEETING.slice(0, 2000).map((word) => [word]))
    await client.pipeline(MEETING.slice(0, 2000).map((word) => ['CONFIG', 'GET', word]))
    await client.pipeline(MEETING.slice(0, 2000).map((word) => ['CLIENT', 'SETNAME', word]))
    await client.pipeline(MEETING.slice(0, 2000).map((word) => ['STOCK.RESERVE', `{${word}}${word}`, 'ITEMS', word, 1]))
    expect(performance.now() - began).toBeLessThan(10_000)
  })
})

describe('numbers are read from bytes', () => {
  it('what is no plain integer is refused and changes nothing', async () => {
    await using client = await node.connect()
    await client.call('STOCK.CREATE', 'lamp', 10)
    const before = await client.call('STOCK.INFO', 'lamp')
    for (const word of NO_INTEGERS) {
      for (const command of [
        ['STOCK.RESERVE', '{u}n', 'ITEMS', 'lamp', word],
        ['STOCK.RESERVE', '{u}n', 'EX', word, 'ITEMS', 'lamp', 1],
        ['STOCK.CREATE', 'other', word],
        ['STOCK.ALTER', 'lamp', 'LIMIT', word],
        ['STOCK.ADJUST', 'lamp', word, 'ID', 'x'],
        ['INCRBY', 'counter', word],
        ['EXPIRE', 'lamp', word],
        ['SETRANGE', 'counter', word, 'x'],
        ['SELECT', word],
        ['EXPIREAT', 'lamp', word],
        ['LRANGE', 'list', word, 1],
        ['HINCRBY', 'hash', 'field', word],
        ['ZRANGE', 'zset', word, 1],
        ['GETRANGE', 'counter', word, 1],
      ]) {
        expect(await client.call(...command), command.join(' ')).toBeInstanceOf(ErrorReply)
      }
    }
    expect(await client.call('STOCK.INFO', 'lamp')).toEqual(before)
    expect(await client.call('STOCK.ORDER', '{u}n')).toBe(null)
    expect(await client.call('EXISTS', 'other', 'counter')).toBe(0)
  })

  it('names that are too long, too many items, unknown and repeated options are refused', async () => {
    await using client = await node.connect()
    const items = Array.from({ length: 101 }, (_, i) => [`s${i}`, 1]).flat()
    for (const command of [
      ['STOCK.RESERVE', 'o'.repeat(129), 'ITEMS', 'lamp', 1],
      ['STOCK.RESERVE', '', 'ITEMS', 'lamp', 1],
      ['STOCK.RESERVE', 'o', 'ITEMS', 's'.repeat(257), 1],
      ['STOCK.RESERVE', 'o', 'ITEMS', ...items],
      ['STOCK.RESERVE', 'o', 'ITEMS', 'lamp', 1, 'lamp'],
      ['STOCK.RESERVE', 'o', 'EX', 1, 'EX', 1, 'ITEMS', 'lamp', 1],
      ['STOCK.RESERVE', 'o', 'EX', 1, 'PX', 1, 'ITEMS', 'lamp', 1],
      ['STOCK.RESERVE', 'o', 'SOON', 'ITEMS', 'lamp', 1],
      ['STOCK.RESERVE', 'o', 'REF', 'r'.repeat(257), 'ITEMS', 'lamp', 1],
      ['STOCK.CREATE', 's'.repeat(257), 1],
      ['STOCK.CREATE', 'other', 1, 'HOLD', 1, 'hold', 1],
    ])
      expect(await client.call(...command), String(command).slice(0, 80)).toBeInstanceOf(ErrorReply)
    expect(await client.call('STOCK.ORDER', 'o')).toBe(null)
    await client.call('SELECT', 1)
    expect(await client.call('STOCK.RESERVE', 'o', 'ITEMS', 'lamp', 1)).toEqual(new ErrorReply('ERR STOCK commands need database 0'))
  })
})

describe('patterns cost what they are long', () => {
  const EVIL: readonly [string, string][] = [
    ['stars', 'a*'.repeat(500) + 'b'],
    ['stars that never end', '*a'.repeat(50_000)],
    ['question marks', '*?'.repeat(900) + 'x'],
    ['a set that does not end', `*[${'b'.repeat(200_000)}`],
    ['many sets', '*[a-c]'.repeat(900) + 'z'],
    ['escapes', '\\'.repeat(100_000)],
  ]
  beforeAll(async () => {
    await using client = await node.connect()
    await client.call('SET', 'a'.repeat(100_000), '1')
    await client.call('SET', 'a'.repeat(1000), '1')
  })

  it.each(EVIL)('%s', async (_, pattern) => {
    await using client = await node.connect()
    await using listener = await node.connect()
    const fast = async (ask: RawClient, ...command: Argument[]): Promise<void> => {
      const began = performance.now()
      await ask.command(...command)
      expect(performance.now() - began, String(command[0])).toBeLessThan(1500)
    }
    await fast(client, 'KEYS', pattern)
    await fast(client, 'SCAN', 0, 'MATCH', pattern, 'COUNT', 1000)
    await fast(client, 'CONFIG', 'GET', pattern)
    await fast(client, 'COMMAND', 'LIST', 'FILTERBY', 'PATTERN', pattern)
    await fast(client, 'ACL', 'SETUSER', 'evil', 'reset', 'on', 'nopass', '+@all', `~${pattern}`, `&${pattern}`)
    await fast(client, 'ACL', 'DRYRUN', 'evil', 'GET', 'a'.repeat(100_000))
    await fast(client, 'PUBSUB', 'CHANNELS', pattern)
    await listener.command('PSUBSCRIBE', pattern)
    await fast(client, 'PUBLISH', 'a'.repeat(100_000), 'x')
    await client.command('ACL', 'DELUSER', 'evil')
  })
})

describe('the log of the process', () => {
  it('is one event a line, whatever clients call themselves', async () => {
    for (const format of ['text', 'json']) {
      await using talkative = await startNode({ args: ['--loglevel', 'debug', '--log-format', format] })
      await using client = await talkative.connect()
      const nasty = '\u001b[31m\nforged line\r\u2028\u2029\u0085\u0000' + 'x'.repeat(1000)
      for (const command of [
        ['CLIENT', 'SETNAME', nasty],
        ['AUTH', nasty, nasty],
        ['HELLO', '3', 'AUTH', nasty, nasty],
        ['CONFIG', 'SET', nasty, nasty],
        ['ACL', 'SETUSER', nasty, 'on'],
        ['STOCK.CREATE', nasty.slice(0, 200), '5'],
        [nasty],
      ])
        await client.command(...command)
      client.send(`${nasty}\r\n`)
      expect(await talkative.stop()).toEqual({ code: 0, signal: null })
      const log = talkative.log()
      // oxlint-disable-next-line no-control-regex
      expect(log).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/)
      expect(log).not.toMatch(/^forged line/m)
      for (const line of log.split('\n')) expect(line.length).toBeLessThan(2000)
    }
  })
})

describe('a bug', () => {
  it.each([
    ['an exception', 'throw new Error("an invented bug")'],
    ['a promise that nobody looks after', 'void Promise.reject(new Error("an invented bug"))'],
  ])('%s ends the node with 70 before anything wrong is written; the log has what was acknowledged', async (_, code) => {
    await using server = await startNode({ execArgv: preload(`process.on("SIGUSR2", () => { ${code} })`) })
    const client = await server.connect()
    await client.call('SET', 'a', '1')
    server.signal('SIGUSR2')
    expect(await within('the end', server.exited)).toEqual({ code: 70, signal: null })
    expect(server.log()).toMatch(/an unexpected error, stopping so that nothing wrong is written.*\n.*an invented bug/)
    await using again = await startNode({ dir: server.dir })
    await using reader = await again.connect()
    expect(await reader.call('GET', 'a')).toBe('1')
  })
})

function sourcesOf(dir: string): string[] {
  return readdirSync(join(ROOT, dir), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(ROOT, dir, name))
}

/** What the HTTP door answers to these bytes. */
function headerAnswer(bytes: string): Promise<string> {
  const socket = connect({ port: http, host: '127.0.0.1' })
  let text = ''
  socket.on('data', (chunk) => (text += chunk.toString()))
  socket.write(bytes)
  return within('its answer', new Promise((resolve) => socket.on('close', () => resolve(text))))
}
