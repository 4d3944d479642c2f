// The sale: 1,000 units, 100,000 attempts from ioredis, kill -9 in the middle. Exactly 1,000 are sold, to 1,000 buyers, each once.

import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { startNode } from '../support/server.ts'
import { tempDir } from '../support/temp-dir.ts'

const UNITS = 1000
const BUYERS = 20_000
const ATTEMPTS = 100_000
const SKU = 'sku:towel'

type ReserveReply = [status: string, when: number, available: number, reserved: number, detail: string]

const connect = (port: number): Redis => new Redis({ port, lazyConnect: true, retryStrategy: null, maxRetriesPerRequest: 0 })

it('sells 1,000 units by 100,000 attempts exactly once each, kill -9 in the middle included', { timeout: 120_000 }, async () => {
  const dir = tempDir()
  const won = new Set<string>()
  const answers = new Map<string, number>()
  let attempt = 0
  let dead = false

  /** Attempts `upTo` in pipelines of 10; every buyer tries several times with the same order id, as impatient people do. */
  const rush = async (port: number, upTo: number, killAfter: number, kill: () => Promise<void>): Promise<void> => {
    const clients = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const client = connect(port)
        client.on('error', () => {})
        await client.connect()
        return client
      }),
    )
    await Promise.all(
      clients.map(async (client) => {
        while (attempt < upTo && !dead) {
          const pipeline = client.pipeline()
          const ids: string[] = []
          for (let i = 0; i < 10 && attempt < upTo; i++) {
            const id = `{buyer${attempt++ % BUYERS}}towel`
            ids.push(id)
            pipeline.call('STOCK.RESERVE', id, 'ITEMS', SKU, '1')
          }
          const replies = (await pipeline.exec().catch(() => null)) ?? []
          replies.forEach(([error, reply], i) => {
            if (error !== null) return // The node died: outcome unknown, the buyer will try again with the same id.
            const [status] = reply as ReserveReply
            answers.set(status, (answers.get(status) ?? 0) + 1)
            if (status === 'OK') won.add(ids[i])
          })
          if (won.size >= killAfter && !dead) {
            dead = true
            await kill()
          }
        }
      }),
    )
    for (const client of clients) client.disconnect()
  }

  {
    await using node = await startNode({ dir })
    const admin = connect(node.port)
    await admin.call('STOCK.CREATE', SKU, String(UNITS), 'LIMIT', '1')
    admin.disconnect()
    await rush(node.port, ATTEMPTS, UNITS / 2, () => node.kill9())
    await node.exited
  }
  const atKill = won.size
  expect(atKill).toBeGreaterThanOrEqual(UNITS / 2)

  dead = false
  await using node = await startNode({ dir })
  await rush(node.port, ATTEMPTS, Infinity, async () => {})

  const admin = connect(node.port)
  // Whoever was told OK before the kill has it still; whoever asks again is told the same.
  for (const id of won) expect(((await admin.call('STOCK.RESERVE', id, 'ITEMS', SKU, '1')) as ReserveReply)[4]).toBe('replay')
  const info = (await admin.call('STOCK.INFO', SKU)) as (string | number)[]
  const number = (name: string): number => Number(info[info.indexOf(name) + 1])
  console.log(`${won.size} sold (${atKill} before the kill); answers ${JSON.stringify([...answers])}`)
  expect(number('available')).toBe(0)
  expect(number('reserved')).toBe(UNITS)
  // An order accepted whose answer died with the node belongs to a buyer who asked again, or did not: never more than the units.
  expect(won.size).toBeLessThanOrEqual(UNITS)
  expect(((await admin.call('STOCK.VERIFY')) as unknown[])[2]).toBe(0)

  for (const id of won) expect(((await admin.call('STOCK.CONFIRM', id, 'REF', `pay:${id}`)) as unknown[])[0]).toBe('OK')
  admin.disconnect()
})
