// Kill -9 under write load, again and again on one data directory: every acknowledged write is there after each restart.
//
// STOCKD_KILLS sets the number of cycles (default 50 for stockd, spread over the three policies; a tenth of it for redis-server, as
// the rival). The seed is printed; STOCKD_SEED replays the same moments and the same load, as far as a scheduler can be replayed.

import { expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { HAS_REDIS, startNode, startRedis } from '../../support/server.ts'
import type { Server } from '../../support/server.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { Load, SKU, TOTAL, countOf, lawHolds, lost, noneAcked } from './load.ts'
import type { Acked, Rival } from './load.ts'

const KILLS = Number(process.env.STOCKD_KILLS ?? 50)
const SEED = Number(process.env.STOCKD_SEED ?? Date.now() % 1_000_000)
const POLICIES = ['always', 'everysec', 'no'] as const
const CONNECTIONS = 4

async function killCycles(rival: Rival, policy: string, kills: number): Promise<{ acked: number; lost: string[] }> {
  const random = new Random(SEED).fork(`${rival}-${policy}`)
  const dir = tempDir()
  const args = ['--appendonly', 'yes', '--appendfsync', policy]
  const start = (): Promise<Server> => (rival === 'stockd' ? startNode({ dir, args }) : startRedis({ dir, args }))
  const before: Acked = noneAcked()
  const missing: string[] = []
  for (let cycle = 0; cycle <= kills; cycle++) {
    await using server = await start()
    await using client = await server.connect()
    if (rival === 'stockd' && cycle === 0) await client.call('STOCK.CREATE', SKU, TOTAL)
    // All that was ever acknowledged, not only the last cycle: a later restart must not lose what an earlier one kept.
    missing.push(...(await lost(client, before)))
    if (rival === 'stockd') expect(await lawHolds(client)).toBe(true)
    if (cycle === kills) break

    const load = new Load(rival, `c${cycle}`, random, before)
    const killAt = random.between(1, 3000)
    let killed: Promise<void> | undefined
    await load.run(server.port, CONNECTIONS, (count) => {
      if (count >= killAt) killed ??= server.kill9()
    })
    await killed
  }
  return { acked: countOf(before), lost: missing }
}

it.each(POLICIES)('loses no acknowledged write by kill -9 under load, appendfsync %s', { timeout: 600_000 }, async (policy) => {
  const result = await killCycles('stockd', policy, Math.ceil(KILLS / POLICIES.length))
  console.log(
    `stockd ${policy}: ${Math.ceil(KILLS / POLICIES.length)} kills, ${result.acked} acknowledged, ${result.lost.length} lost (seed ${SEED})`,
  )
  expect(result.lost).toEqual([])
  expect(result.acked).toBeGreaterThan(0)
})

it.skipIf(!HAS_REDIS)('the rival: redis-server under the same load', { timeout: 600_000 }, async () => {
  const kills = Math.ceil(KILLS / 10)
  const result = await killCycles('redis', 'everysec', kills)
  console.log(`redis everysec: ${kills} kills, ${result.acked} acknowledged, ${result.lost.length} lost (seed ${SEED})`)
  expect(result.acked).toBeGreaterThan(0)
})
