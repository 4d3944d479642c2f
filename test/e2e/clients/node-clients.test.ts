// Node's clients live a shop's day, on redis-server and on stockd: both must tell them the same.

import { Redis as Ioredis6 } from 'ioredis'
import { Redis as Ioredis5 } from 'ioredis5'
import { createClient as createClient6 } from 'redis'
import { createClient as createClient4 } from 'redis4'
import { beforeAll, describe, expect, it } from 'vitest'
import { eventually, within } from '../../support/eventually.ts'
import { HAS_REDIS, startNode, startRedis } from '../../support/server.ts'
import type { Server } from '../../support/server.ts'

let redis: Server
let node: Server
beforeAll(async () => {
  if (HAS_REDIS) redis = await startRedis({ args: ['--save', ''] })
  node = await startNode({ args: ['--orders-db', 'no'] })
})

/** What was told, a name each. */
type Diary = Record<string, unknown>

async function refused(asked: Promise<unknown>): Promise<unknown> {
  return asked.catch((error: unknown) => String(error))
}

async function ioredisDay(Client: typeof Ioredis6, port: number): Promise<Diary> {
  const connect = (): Ioredis6 => new Client({ port, host: '127.0.0.1', db: 3 })
  const client = connect()
  const other = connect()
  const listener = connect()
  const diary: Diary = {}
  try {
    await client.flushdb()
    diary.set = [await client.set('page', 'v', 'EX', 100, 'NX'), await client.set('page', 'w', 'NX'), await client.getex('page', 'PERSIST')]
    diary.cart = [await client.hset('cart', { a: 1, b: 2 }), await client.hincrby('cart', 'a', 4), await client.hgetall('cart')]
    diary.queue = [await client.rpush('queue', 1, 2, 3), await client.lpop('queue', 2), await client.blpop('none', 'queue', 1)]
    const blocked = client.blmpop(5, 2, 'none', 'later', 'LEFT', 'COUNT', 2)
    await other.rpush('later', 'x', 'y')
    diary.blocked = await blocked
    diary.sets = [await client.sadd('s', 'a', 'b'), (await client.smembers('s')).toSorted(), await client.smismember('s', 'a', 'x')]
    diary.ranking = [
      await client.zadd('best', 3, 'a', 1.5, 'b'),
      await client.zincrby('best', 2, 'b'),
      await client.zrevrange('best', 0, -1, 'WITHSCORES'),
      await client.bzpopmin('none', 'best', 1),
    ]
    diary.multi = await client.multi().set('t', 1).incr('t').hget('cart', 'a').lpush('t', 'x').exec().then(String)
    diary.aborted = await refused(client.multi().call('SET', 't').exec())
    await client.watch('t')
    await other.set('t', 'changed')
    diary.watched = await client.multi().set('t', 'mine').exec()
    diary.pipeline = String(await client.pipeline().get('t').incr('n').lpush('t', 'x').hgetall('none').exec())
    const heard: unknown[] = []
    const enough = new Promise<void>((resolve) => {
      const hear = (...message: unknown[]): void => void (heard.push(message) === 3 && resolve())
      listener.on('message', hear)
      listener.on('pmessage', hear)
    })
    diary.subscribed = [await listener.subscribe('news', 'offers'), await listener.psubscribe('o*')]
    diary.published = [await client.publish('news', 'one'), await client.publish('offers', 'two'), await client.publish('none', 'three')]
    await within('three messages', enough)
    diary.heard = heard
    diary.channels = [
      ((await client.pubsub('CHANNELS')) as string[]).toSorted(),
      await client.pubsub('NUMSUB', 'news'),
      await client.pubsub('NUMPAT'),
    ]
    diary.unsubscribed = [await listener.unsubscribe('news', 'offers'), await listener.punsubscribe('o*')]
    diary.afterwards = await listener.get('t')
    const monitor = await client.monitor()
    const seen = new Promise<string[]>((resolve) => monitor.on('monitor', (_time: string, args: string[]) => resolve(args)))
    await other.set('monitored', 'yes')
    diary.monitor = await within('what is monitored', seen)
    monitor.disconnect()
    const keys: string[] = []
    for await (const some of client.scanStream({ match: '*a*', count: 2 })) keys.push(...(some as string[]))
    diary.keys = [...new Set(keys)].toSorted()
    diary.refused = [await refused(client.lpush('page', 'x')), await refused(client.call('NOSUCH')), await refused(client.incr('page'))]
    diary.buffers = [await client.set('bin', Buffer.from([0, 255])), (await client.getBuffer('bin'))?.toString('hex')]
    diary.object = [await client.object('ENCODING', 'cart'), await client.type('best'), await client.dbsize()]
    diary.end = [await client.flushdb(), await client.quit()]
  } finally {
    for (const each of [client, other, listener]) each.disconnect()
  }
  return diary
}

type NodeRedis = ReturnType<typeof createClient6>

async function nodeRedisDay(create: typeof createClient6, options: object, port: number): Promise<Diary> {
  const all: NodeRedis[] = []
  const connect = async (): Promise<NodeRedis> => {
    const made = create({ url: `redis://127.0.0.1:${port}/3`, ...options }) as NodeRedis
    made.on('error', () => {})
    await made.connect()
    all.push(made)
    return made
  }
  const client = await connect()
  const other = await connect()
  const listener = await connect()
  const diary: Diary = {}
  try {
    await client.flushDb()
    diary.set = [
      await client.set('page', 'v', { EX: 100, NX: true }),
      await client.set('page', 'w', { NX: true }),
      await client.getEx('page', { PX: 50_000 }),
    ]
    diary.cart = [
      await client.hSet('cart', { a: '1', b: '2' }),
      await client.hIncrBy('cart', 'a', 4),
      { ...(await client.hGetAll('cart')) },
    ]
    diary.queue = [
      await client.rPush('queue', ['1', '2', '3']),
      await client.lPopCount('queue', 2),
      await client.blPop(['none', 'queue'], 1),
    ]
    const blocked = listener.blMove('later', 'moved', 'LEFT', 'RIGHT', 5)
    await eventually('it to wait', async () => / flags=b .* cmd=blmove /.test(String(await client.sendCommand(['CLIENT', 'LIST']))))
    await client.rPush('later', ['x', 'y'])
    diary.blocked = await blocked
    diary.sets = [
      await client.sAdd('s', ['a', 'b']),
      [...(await client.sMembers('s'))].toSorted(),
      await client.smIsMember('s', ['a', 'x']),
    ]
    diary.ranking = [
      await client.zAdd('best', [
        { score: 3, value: 'a' },
        { score: 1.5, value: 'b' },
      ]),
      await client.zIncrBy('best', 2, 'b'),
      await client.zRangeWithScores('best', 0, -1, { REV: true }),
      await client.zRange('best', '(1', '+inf', { BY: 'SCORE', LIMIT: { offset: 0, count: 5 } }),
      await client.bzPopMin(['none', 'best'], 1),
    ]
    diary.multi = await client.multi().set('t', '1').incr('t').hGet('cart', 'a').exec()
    diary.refusedInside = await refused(client.multi().set('t', '1').lPush('t', 'x').exec())
    await other.watch('t')
    await client.set('t', 'changed')
    diary.watched = await refused(other.multi().set('t', 'mine').exec())
    diary.pipeline = await Promise.all([client.get('t'), client.incr('n'), client.hGet('none', 'x'), refused(client.lPush('t', 'x'))])
    const heard: unknown[] = []
    const enough = new Promise<void>((resolve) => {
      const hear = (message: string, channel: string): void => void (heard.push([channel, message]) === 3 && resolve())
      void listener
        .subscribe(['news', 'offers'], hear)
        .then(() => listener.pSubscribe('o*', hear))
        .then(async () => {
          diary.published = [
            await client.publish('news', 'one'),
            await client.publish('offers', 'two'),
            await client.publish('none', 'three'),
          ]
        })
    })
    await within('three messages', enough)
    diary.heard = heard
    diary.channels = [
      (await client.pubSubChannels()).toSorted(),
      { ...(await client.pubSubNumSub(['news', 'none'])) },
      await client.pubSubNumPat(),
    ]
    await listener.unsubscribe(['news', 'offers'])
    await listener.pUnsubscribe('o*')
    diary.afterwards = await listener.get('t')
    const keys: string[] = []
    for await (const some of client.scanIterator({ MATCH: '*a*', COUNT: 2 })) keys.push(...[some].flat())
    diary.keys = [...new Set(keys)].toSorted()
    diary.refused = [
      await refused(client.lPush('page', 'x')),
      await refused(client.sendCommand(['NOSUCH'])),
      await refused(client.incr('page')),
    ]
    diary.object = [await client.objectEncoding('cart'), await client.type('best'), await client.dbSize(), await client.aclWhoAmI()]
    diary.config = { ...(await client.configGet('maxmemory-policy')) }
    diary.end = await client.flushDb()
  } finally {
    for (const each of all) await each.disconnect()
  }
  return diary
}

const DAYS: readonly (readonly [string, (port: number) => Promise<Diary>])[] = [
  ['ioredis 6', (port) => ioredisDay(Ioredis6, port)],
  ['ioredis 5', (port) => ioredisDay(Ioredis5 as unknown as typeof Ioredis6, port)],
  ['node-redis 6 over RESP2', (port) => nodeRedisDay(createClient6, { RESP: 2 }, port)],
  ['node-redis 6 over RESP3', (port) => nodeRedisDay(createClient6, { RESP: 3 }, port)],
  ['node-redis 4', (port) => nodeRedisDay(createClient4 as unknown as typeof createClient6, {}, port)],
]

describe.skipIf(!HAS_REDIS)('node clients', () => {
  it.each(DAYS)('%s is told the same as by redis-server', { timeout: 20_000 }, async (_name, live) => {
    const expected = await live(redis.port)
    expect(Object.keys(expected).length).toBeGreaterThan(15)
    expect(await live(node.port)).toEqual(expected)
  })
})
