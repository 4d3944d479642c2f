// What COMMAND tells of every command that redis-server has too: where its keys are and what is done to them, its tips, its arguments.
//
// Names and sentences may differ. Arguments are compared as what a client can make of them: kinds, tokens, what may be left out, repeated
// or chosen; groups that say nothing of their own are taken apart on both sides.

import { stripVTControlCharacters } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { run } from '../support/run.ts'
import { HAS_REDIS, hasProgram, startNode, startRedis } from '../support/server.ts'
import type { Server } from '../support/server.ts'
import { decodeReply } from '../support/raw-client.ts'
import type { RawClient, Value } from '../support/raw-client.ts'

type Fields = Map<string, Value>

/** What is documented differently, on purpose. */
const DIFFERENCES: ReadonlyMap<string, string> = new Map([
  ['command|getkeys', 'redis-server 7.0.15 documents no arguments'],
  ['command|getkeysandflags', 'redis-server 7.0.15 documents no arguments'],
])

interface Argument {
  readonly type: string
  readonly token: string | null
  readonly keySpec: number | null
  readonly flags: readonly string[]
  readonly parts: readonly Argument[]
}

function argumentsOf(list: Value | undefined): Argument[] {
  return ((list ?? []) as Fields[]).flatMap((fields) => {
    const argument = {
      type: fields.get('type') as string,
      token: (fields.get('token') as string | undefined) ?? null,
      keySpec: (fields.get('key_spec_index') as number | undefined) ?? null,
      flags: [...((fields.get('flags') ?? []) as string[])],
      parts: argumentsOf(fields.get('arguments')),
    }
    return argument.type === 'block' ? withoutGroup(argument) : [argument]
  })
}

/** A group with a token is a group that begins with it; one that is neither optional nor repeated is its parts; one of one part is that. */
function withoutGroup(group: Argument): Argument[] {
  if (group.parts.length === 1 && group.parts[0].token === null) {
    const [part] = group.parts
    return [{ ...part, token: group.token, flags: [...new Set([...group.flags, ...part.flags])] }]
  }
  const token = group.token === null ? [] : [{ type: 'pure-token', token: group.token, keySpec: null, flags: [], parts: [] }]
  const parts = [...token, ...group.parts]
  return group.flags.length === 0 ? parts : [{ ...group, token: null, parts }]
}

function written(list: readonly Argument[]): string {
  return list
    .map(({ type, token, keySpec, flags, parts }) => {
      const inner = parts.length === 0 ? '' : `(${written(parts)})`
      return `${type}${token === null ? '' : `=${token}`}${keySpec === null ? '' : `#${keySpec}`}${inner} ${flags.toSorted().join(' ')}`.trim()
    })
    .join(', ')
}

async function documented(client: RawClient): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  const add = (docs: Fields): void => {
    for (const [name, doc] of docs as Map<string, Fields>) {
      found.set(name, written(argumentsOf(doc.get('arguments'))))
      if (doc.has('subcommands')) add(doc.get('subcommands') as Fields)
    }
  }
  add(decodeReply(await client.command('COMMAND', 'DOCS')) as Fields)
  return found
}

/** Tips and key specs of every command, without redis-server's notes on them. */
async function routed(client: RawClient): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>()
  const plain = (value: Value): unknown => {
    if (value instanceof Map)
      return Object.fromEntries([...value].filter(([name]) => name !== 'notes').map(([name, one]) => [name, plain(one)]))
    return value instanceof Set || Array.isArray(value) ? [...value].map(plain) : value
  }
  const add = (info: Value): void => {
    const [name, , , , , , , tips, keySpecs, subcommands] = [...(info as Value[])]
    found.set(name as string, { tips: plain(tips), keySpecs: plain(keySpecs) })
    for (const subcommand of subcommands as Value[]) add(subcommand)
  }
  for (const info of decodeReply(await client.command('COMMAND')) as Value[]) add(info)
  return found
}

describe.skipIf(!HAS_REDIS)('COMMAND beside redis-server', () => {
  let redis: Server
  let stockd: Server

  beforeAll(async () => {
    redis = await startRedis()
    stockd = await startNode({ args: ['--appendonly', 'no'] })
  })
  afterAll(async () => {
    await redis[Symbol.asyncDispose]()
    await stockd[Symbol.asyncDispose]()
  })

  async function both<T>(ask: (client: RawClient) => Promise<Map<string, T>>): Promise<[ours: Map<string, T>, theirs: Map<string, T>]> {
    const answers: Map<string, T>[] = []
    for (const server of [stockd, redis]) {
      await using client = await server.connect()
      await client.command('HELLO', '3')
      answers.push(await ask(client))
    }
    const [ours, theirs] = answers
    const common = [...ours.keys()].filter((name) => theirs.has(name) && !DIFFERENCES.has(name))
    expect(common.length).toBeGreaterThan(200)
    return [new Map(common.map((name) => [name, ours.get(name)!])), new Map(common.map((name) => [name, theirs.get(name)!]))]
  }

  it('DOCS tells the same arguments', async () => {
    const [ours, theirs] = await both(documented)
    expect(ours).toEqual(theirs)
  })

  it('INFO tells the same tips, and of every key the same place and the same use', async () => {
    const [ours, theirs] = await both(routed)
    expect(ours).toEqual(theirs)
  })

  it.skipIf(!hasProgram('redis-cli'))('redis-cli, which makes its hints from DOCS, has one for every command', async () => {
    await using client = await stockd.connect()
    const names = (decodeReply(await client.command('COMMAND', 'LIST')) as string[]).filter((name) => !name.includes('|'))
    const { stdout } = await run(['redis-cli', '-p', String(stockd.port)], { input: names.map((name) => `help ${name}\n`).join('') })
    const shown = stdout.split('\n').map((line) => stripVTControlCharacters(line).trim())
    for (const name of names) expect(shown.filter((line) => line.split(' ')[0] === name.toUpperCase()).length, name).toBeGreaterThan(0)
    expect(shown).toContain('STOCK.RESERVE order [EX seconds|PX milliseconds] [PAID] [REF ref] ITEMS sku quantity [sku quantity ...]')
    expect(shown).toContain('LMOVE source destination LEFT|RIGHT LEFT|RIGHT')
    expect(shown).toContain('ZRANGE key start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES]')
  })

  it.each([
    'SET k v',
    'SET k v EX 5 GET',
    'SET k GET',
    'GETDEL k',
    'MSET a 1 b 2',
    'RENAME a b',
    'COPY a b DB 3',
    'SINTERSTORE d a b',
    'LMPOP 2 a b LEFT',
    'BLMPOP 0 2 a b LEFT',
    'ZUNIONSTORE d 2 a b WEIGHTS 1 2',
    'ZUNIONSTORE d 3 a b',
    'BLPOP a b 0',
    'OBJECT ENCODING k',
    'MEMORY USAGE k',
    'LCS a b LEN',
    'XREAD COUNT 2 STREAMS a b 0 0',
    'XREAD STREAMS',
    'SPUBLISH c m',
    'SSUBSCRIBE c',
    'FCALL f 0',
    'FCALL f 1 k x',
    'ZADD k 1 a',
    'PING',
    'HSET k f v',
    'EXISTS a b',
    'LMPOP x a LEFT',
    'LMPOP 0 a LEFT',
    'WATCH a b',
    'SMOVE a b x',
  ])('GETKEYS and GETKEYSANDFLAGS of %s', async (line) => {
    await using one = await redis.connect()
    await using other = await stockd.connect()
    for (const word of ['GETKEYS', 'GETKEYSANDFLAGS']) {
      const command = ['COMMAND', word, ...line.split(' ')]
      expect((await other.command(...command)).toString()).toBe((await one.command(...command)).toString())
    }
  })
})
