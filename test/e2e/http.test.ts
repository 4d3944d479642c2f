// The HTTP side door: what it says while a real node loads, sells, cannot write and stops; and what strangers get from it.

import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { Endpoint } from '../../src/cli/metrics/endpoint.ts'
import { eventually, within } from '../support/eventually.ts'
import { freePort } from '../support/port.ts'
import { Scrape } from '../support/prometheus-text.ts'
import { killServers, startNode } from '../support/server.ts'
import { tempDir } from '../support/temp-dir.ts'

afterEach(killServers)

async function ask(port: number, path: string): Promise<{ status: number; body: string }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`)
  return { status: response.status, body: await response.text() }
}

describe('a node with --http', () => {
  it('shows its figures, which are those of INFO, and where they are', async () => {
    await using node = await startNode({ args: ['--http', '0'] })
    const url = (await eventually('the banner', () => /watch +(http:\S+)\/metrics/.exec(node.log())))[1]
    await using client = await node.connect()
    await client.call('STOCK.CREATE', 'cup', '100')
    for (let i = 0; i < 10; i++) await client.call('STOCK.RESERVE', `{b${i}}1`, 'ITEMS', 'cup', '1')
    const response = await fetch(`${url}/metrics`)
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    const scrape = new Scrape(await response.text())
    expect(scrape.value('stockd_stock_units', { state: 'reserved' })).toBe(10)
    expect(scrape.value('stockd_stock_commands_total', { command: 'stock.reserve' })).toBe(10)
    expect(scrape.value('stockd_log_lsn', { step: 'last' })).toBeGreaterThanOrEqual(11)
    expect(scrape.value('stockd_ready')).toBe(1)
    const health = await fetch(`${url}/healthz`)
    expect([health.status, await health.json()]).toEqual([200, expect.objectContaining({ status: 'alive', phase: 'serving' })])
    expect((await fetch(`${url}/`)).status).toBe(404)
    expect((await fetch(`${url}/metrics`, { method: 'POST', body: 'x' })).status).toBe(405)
    expect((await node.stop()).code).toBe(0)
    await expect(fetch(`${url}/healthz`)).rejects.toThrow('fetch failed')
  })

  it('is not ready while it loads, nor while it stops', async () => {
    const http = await freePort()
    const dir = tempDir()
    const args = ['--http', String(http), '--enable-debug-command', 'yes', '--shutdown-timeout', '5']
    await using first = await startNode({ dir, args })
    await using filler = await first.connect()
    for (let i = 0; i < 25; i++) await filler.call('DEBUG', 'POPULATE', '20000', `batch${i}`)
    await filler.call('SET', 'large', 'x'.repeat(8_000_000))
    await first.kill9()

    const heard = new Set<string>()
    const starting = startNode({ dir, args })
    let isStarted = false
    void starting.then(() => (isStarted = true))
    await eventually('the node to be ready', async () => {
      const { status, body } = await ask(http, '/readyz')
      heard.add(`${status} ${(JSON.parse(body) as { status: string }).status}`)
      expect((await ask(http, '/healthz')).status).toBe(200)
      return status === 200
    })
    expect([...heard]).toEqual(expect.arrayContaining(['503 loading', '200 ready']))
    await using second = await starting
    expect(isStarted).toBe(true)

    // Somebody does not take his reply: the node waits for him a while.
    const reader = connect(second.port, '127.0.0.1')
    await new Promise((resolve) => reader.once('connect', resolve))
    reader.pause()
    reader.write('GET large\r\n'.repeat(4))
    await eventually('the reply to wait', async () => {
      const scrape = new Scrape((await ask(http, '/metrics')).body)
      return scrape.value('stockd_connections_waiting', { waiting: 'replies_unread' }) > 0
    })
    second.signal('SIGTERM')
    const stopping = await eventually('the node to leave readiness', async () => {
      const { status, body } = await ask(http, '/readyz')
      return status === 503 ? body : null
    })
    expect(JSON.parse(stopping)).toMatchObject({ status: 'stopping' })
    expect((await ask(http, '/healthz')).status).toBe(200)
    expect(second.exit).toBe(null)
    reader.destroy()
    expect((await within('the end', second.exited)).code).toBe(0)
  })

  it('is not ready while the log takes no records, and says why', async () => {
    const http = await freePort()
    await using node = await startNode({ args: ['--http', String(http)] })
    await using client = await node.connect()
    await client.call('CONFIG', 'SET', 'aof-min-free', '8000000000000000')
    const body = await eventually('the log to refuse', async () => {
      const answer = await ask(http, '/readyz')
      return answer.status === 503 ? answer.body : null
    })
    expect(JSON.parse(body)).toMatchObject({ status: 'log_refuses', reason: expect.stringMatching(/^MISCONF/) })
    const scrape = new Scrape((await ask(http, '/metrics')).body)
    expect([scrape.value('stockd_log_writable'), scrape.value('stockd_ready')]).toEqual([0, 0])
    await client.call('CONFIG', 'SET', 'aof-min-free', '0')
    await eventually('the node to be ready again', async () => (await ask(http, '/readyz')).status === 200)
  })

  it('says which port is taken, and does not start', async () => {
    const http = await freePort()
    await using node = await startNode({ args: ['--http', String(http)] })
    await expect(startNode({ port: await freePort(), args: ['--http', String(http)] })).rejects.toThrow(
      /code 1.*port \d+ of 127\.0\.0\.1 for --http is already in use/s,
    )
    expect(node.exit).toBe(null)
  })
})

describe('strangers', () => {
  let scrapes = 0
  const endpoints: Endpoint[] = []
  afterEach(async () => {
    for (const endpoint of endpoints.splice(0)) await endpoint.close()
  })

  async function open(): Promise<number> {
    const endpoint = new Endpoint({
      port: 0,
      address: '127.0.0.1',
      metrics: { contentType: 'text/plain', text: async () => `scrape ${++scrapes}\n` },
      alive: () => ({ isWell: true, body: { status: 'alive' } }),
      ready: () => ({ isWell: false, body: { status: 'stopping' } }),
    })
    await endpoint.open()
    endpoints.push(endpoint)
    return Number(new URL(endpoint.url).port)
  }

  /** All that comes back for these bytes until the other side closes. */
  async function raw(port: number, bytes: string, ms = 15_000): Promise<string> {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk) => (text += chunk.toString('latin1')))
    socket.on('error', () => {})
    socket.write(bytes)
    await within('the connection to end', ended(socket), ms)
    return text
  }
  const ended = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once('close', () => resolve()))

  it.each([
    ['rubbish', 'rubbish\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['RESP', '*1\r\n$4\r\nPING\r\n', /^HTTP\/1\.1 400 /],
    ['a header without end', `GET /metrics HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(100_000)}`, /^HTTP\/1\.1 400 |^$/],
    ['very many headers', `GET /metrics HTTP/1.1\r\nHost: x\r\n${'X: y\r\n'.repeat(5000)}\r\n`, /^HTTP\/1\.1 400 |^$/],
    ['no host', 'GET /metrics HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['a tunnel', 'CONNECT other:80 HTTP/1.1\r\nHost: x\r\n\r\n', /^$/],
    ['a path that climbs', 'GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^HTTP\/1\.1 404 /],
    ['another path', 'GET /metrics/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^HTTP\/1\.1 404 /],
    ['a whole URL', 'GET http://other/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^HTTP\/1\.1 404 /],
    ['another method', 'DELETE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^HTTP\/1\.1 405 .*Allow: GET, HEAD/s],
    ['HEAD', 'HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^HTTP\/1\.1 200 [^{]*\r\n\r\n$/],
    ['a query', 'GET /healthz?x=/readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^HTTP\/1\.1 200 .*"alive"/s],
    ['HTTP/1.0', 'GET /readyz HTTP/1.0\r\n\r\n', /^HTTP\/1\.1 503 .*"stopping"/s],
  ])('get the right answer to %s', async (_, bytes, answer) => {
    expect(await raw(await open(), bytes)).toMatch(answer)
  })

  it('cannot hide a second request in a body', async () => {
    const inner = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'
    const text = await raw(await open(), `GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`)
    expect(text.match(/HTTP\/1\.1 /g)).toHaveLength(1)
    expect(text).toMatch(/Connection: close/i)
  })

  it('cannot keep the door busy: not by halves of requests, not by silence, not by numbers', { timeout: 60_000 }, async () => {
    const port = await open()
    const began = performance.now()
    const half = raw(port, 'GET /metrics HTTP/1.1\r\nHost: x\r\n')
    const body = raw(port, 'GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx')
    const silent = raw(port, '')
    await Promise.all([half, body, silent])
    expect(performance.now() - began).toBeLessThan(13_000)

    const crowd = Array.from({ length: 200 }, () => connect(port, '127.0.0.1').on('error', () => {}))
    let open200 = crowd.length
    for (const socket of crowd) socket.once('close', () => open200--)
    await eventually('most of a crowd to be let go', () => open200 <= 64)
    // They have the room for five seconds at most; then it is there for those who ask something.
    await eventually('the door to be free', async () => (await ask(port, '/healthz')).status === 200, 20_000)
    for (const socket of crowd) socket.destroy()
  })

  it('who ask together share one scrape', async () => {
    const port = await open()
    const before = scrapes
    const request = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'
    const text = await raw(port, request.repeat(50) + request.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
    expect(text.match(/^scrape \d+$/gm)).toHaveLength(51)
    expect(scrapes - before).toBeLessThanOrEqual(51)
    await Promise.all(Array.from({ length: 20 }, () => ask(port, '/metrics')))
  })
})
