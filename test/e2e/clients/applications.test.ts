// Applications that people run on Redis live on stockd: sessions, caches, and chat over several servers.

import { createServer } from 'node:http'
import type { Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Engine as CatboxRedis } from '@hapi/catbox-redis'
import KeyvRedis from '@keyv/redis'
import { createAdapter } from '@socket.io/redis-adapter'
import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { Redis } from 'ioredis'
import Keyv from 'keyv'
import { createClient } from 'redis'
import { Server as SocketServer } from 'socket.io'
import { io as connectSocket } from 'socket.io-client'
import { afterEach, beforeAll, expect, it } from 'vitest'
import { eventually, within } from '../../support/eventually.ts'
import { startNode } from '../../support/server.ts'
import type { Server } from '../../support/server.ts'

declare module 'express-session' {
  interface SessionData {
    visits: number
  }
}

/** What catbox asks of its engines; its own types are in a package that only hapi brings. */
interface Cache {
  start(): Promise<void>
  stop(): Promise<void>
  get(key: object): Promise<{ item: string } | null>
  set(key: object, item: string, ttl: number): Promise<void>
  drop(key: object): Promise<void>
}

let node: Server
const over: (() => unknown)[] = []
beforeAll(async () => {
  node = await startNode({ args: ['--orders-db', 'no'] })
})
afterEach(async () => {
  for (const end of over.splice(0).toReversed()) await end()
})

async function nodeRedis() {
  const client = createClient({ url: `redis://127.0.0.1:${node.port}` })
  client.on('error', () => {})
  await client.connect()
  over.push(() => client.close())
  return client
}

function ioredis(): Redis {
  const client = new Redis(node.port, '127.0.0.1')
  over.push(() => client.disconnect())
  return client
}

async function listen(server: HttpServer): Promise<string> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  over.push(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

it('express-session with connect-redis: a visitor stays known, over a restart of the shop and a kill -9 of the node', async () => {
  const own = await startNode({ args: ['--orders-db', 'no'] })
  over.push(() => own[Symbol.asyncDispose]())
  const shop = async (port: number): Promise<string> => {
    const client = createClient({ url: `redis://127.0.0.1:${port}` })
    client.on('error', () => {})
    await client.connect()
    over.push(() => client.close())
    const app = express()
    const store = new RedisStore({ client, prefix: 'sess:', ttl: 864_000 })
    app.use(session({ store, secret: 'of the test', resave: false, saveUninitialized: false }))
    app.get('/', (request, response) => {
      request.session.visits = (request.session.visits ?? 0) + 1
      response.json({ visits: request.session.visits })
    })
    app.get('/leave', (request, response) => void request.session.destroy(() => response.json({ visits: 0 })))
    return listen(createServer(app))
  }
  let cookie = ''
  const visit = async (url: string): Promise<number> => {
    const response = await fetch(url, { headers: cookie === '' ? {} : { cookie } })
    cookie = response.headers.get('set-cookie')?.split(';')[0] ?? cookie
    return ((await response.json()) as { visits: number }).visits
  }

  const first = await shop(own.port)
  expect([await visit(first), await visit(first), await visit(first)]).toEqual([1, 2, 3])
  const admin = await own.connect()
  const [key] = (await admin.call('KEYS', 'sess:*')) as string[]
  expect(Number(await admin.call('TTL', key))).toBeGreaterThan(863_000)
  await admin.close()
  for (const end of over.splice(1).toReversed()) await end()
  await own.kill9()

  await using again = await startNode({ dir: own.dir, args: ['--orders-db', 'no'] })
  const second = await shop(again.port)
  expect(await visit(second)).toBe(4)
  expect(await visit(`${second}/leave`)).toBe(0)
  expect(await visit(second)).toBe(1)
  for (const end of over.splice(0).toReversed()) await end()
})

it('keyv: a cache with times to live and name spaces', async () => {
  const pages = new Keyv({ store: new KeyvRedis(`redis://127.0.0.1:${node.port}`), namespace: 'pages' })
  const users = new Keyv({ store: new KeyvRedis(`redis://127.0.0.1:${node.port}`), namespace: 'users' })
  over.push(
    () => pages.disconnect(),
    () => users.disconnect(),
  )
  await pages.set('home', { html: '<h1>' }, 60_000)
  await users.set('home', 'ann')
  expect(await pages.get('home')).toEqual({ html: '<h1>' })
  expect(await pages.getMany(['home', 'none'])).toEqual([{ html: '<h1>' }, undefined])
  expect(await pages.has('home')).toBe(true)
  expect(await pages.delete('home')).toBe(true)
  await pages.set('brief', 1, 20)
  await eventually('it to be gone', async () => (await pages.get('brief')) === undefined)
  await pages.set('one', 1)
  await pages.clear()
  expect(await pages.get('one')).toBeUndefined()
  expect(await users.get('home')).toBe('ann')
})

it('catbox: what hapi caches', async () => {
  const cache = new CatboxRedis({ client: ioredis() as never }) as unknown as Cache
  await cache.start()
  over.push(() => cache.stop())
  const key = { segment: 'prices', id: 'sku/1' }
  expect(await cache.get(key)).toBeNull()
  await cache.set(key, '5.99', 50_000)
  expect(await cache.get(key)).toMatchObject({ item: '5.99' })
  await cache.drop(key)
  expect(await cache.get(key)).toBeNull()
})

it.each(['node-redis', 'ioredis'] as const)(
  'socket.io on two servers (%s): who is in a room hears what is said at the other one',
  async (kind) => {
    const server = async () => {
      const [publisher, subscriber] = kind === 'ioredis' ? [ioredis(), ioredis()] : [await nodeRedis(), await nodeRedis()]
      const sockets = new SocketServer(createServer(), { adapter: createAdapter(publisher, subscriber), transports: ['websocket'] })
      const http = createServer()
      sockets.attach(http)
      over.push(() => sockets.close())
      sockets.on('connection', (socket) => {
        socket.on('join', async (room: string, answer: () => void) => {
          await socket.join(room)
          answer()
        })
        socket.on('say', (room: string, text: string) => void sockets.to(room).emit('said', text))
      })
      return { sockets, url: await listen(http) }
    }
    const [one, two] = [await server(), await server()]
    const client = async (url: string) => {
      const socket = connectSocket(url, { transports: ['websocket'] })
      over.push(() => socket.disconnect())
      await within('a connection', new Promise<void>((resolve) => void socket.on('connect', resolve)))
      return socket
    }
    const [ann, bob, eve] = [await client(one.url), await client(two.url), await client(two.url)]
    const heard: string[] = []
    eve.on('said', (text: string) => heard.push(`eve ${text}`))
    const told = new Promise<string>((resolve) => void bob.on('said', resolve))
    await within('bob to be in the room', bob.emitWithAck('join', 'sale'))
    await eventually('both servers to know each other', async () => (await one.sockets.fetchSockets()).length === 3)
    ann.emit('say', 'sale', 'sold out')
    expect(await within('what was said', told)).toBe('sold out')
    // What is asked of all servers is answered by all.
    expect((await one.sockets.in('sale').fetchSockets()).map(({ id }) => id)).toEqual([bob.id])
    one.sockets.socketsLeave('sale')
    await eventually('the room to be empty', async () => (await two.sockets.in('sale').fetchSockets()).length === 0)
    expect(heard).toEqual([])
  },
)
