// A disk that is really full: a small tmpfs. Writes are refused with a reason, nothing acknowledged is lost by a kill -9 on top of it,
// and when space comes back the node writes again by itself.
//
// Mounting needs root; elsewhere the test is skipped.

import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { eventually } from '../../support/eventually.ts'
import { ErrorReply } from '../../support/raw-client.ts'
import { HAS_REDIS, startNode, startRedis } from '../../support/server.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { Load, SKU, TOTAL, countOf, lawHolds, lost, noneAcked } from './load.ts'

const SEED = Number(process.env.STOCKD_SEED ?? Date.now() % 1_000_000)
const RUNS = Number(process.env.STOCKD_FULL_DISKS ?? 3)
const MIB = 1024 * 1024

const mounted: string[] = []
afterEach(() => {
  for (const dir of mounted.splice(0)) spawnSync('umount', ['-l', dir])
})

function smallDisk(bytes: number): string | null {
  const dir = join(tempDir(), 'disk')
  mkdirSync(dir)
  if (process.getuid?.() !== 0 || spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', dir]).status !== 0) return null
  mounted.push(dir)
  return dir
}

const canMount = ((): boolean => {
  const dir = smallDisk(MIB)
  for (const made of mounted.splice(0)) spawnSync('umount', [made])
  return dir !== null
})()

it.skipIf(!canMount).each(Array.from({ length: RUNS }, (_, run) => run))(
  'a full disk refuses writes, loses nothing, and heals when space returns (run %i)',
  { timeout: 120_000 },
  async (run) => {
    const random = new Random(SEED).fork(`full-${run}`)
    const dir = smallDisk(6 * MIB)!
    // The early refusal (aof-min-free) is switched off, so that the write itself meets the full disk.
    const args = [
      '--appendfsync',
      run % 2 === 0 ? 'everysec' : 'always',
      '--aof-min-free',
      '0',
      '--aof-segment-size',
      '1mb',
      '--auto-aof-rewrite-percentage',
      '0',
    ]
    const filler = join(dir, 'filler')
    const acked = noneAcked()
    {
      await using node = await startNode({ dir, args })
      await using client = await node.connect()
      await client.call('STOCK.CREATE', SKU, TOTAL)
      writeFileSync(filler, Buffer.alloc(2 * MIB))

      const load = new Load('stockd', `full${run}`, random, acked)
      const loading = load.run(node.port, 4, () => {})
      await eventually('writes to be refused', () => (load.refused.get('MISCONF') ?? 0) > 50, 60_000)
      load.stop()
      await loading
      expect([...load.refused.keys()]).toEqual(['MISCONF'])
      expect(countOf(acked)).toBeGreaterThan(0)
      const refusal = await client.call('SET', 'refused', '1')
      expect(refusal).toBeInstanceOf(ErrorReply)
      expect((refusal as ErrorReply).text).toMatch(/^MISCONF .*(ENOSPC|disk)/)
      // Reading goes on.
      expect(await lost(client, acked, true)).toEqual([])

      if (run % 3 === 0) {
        await node.kill9()
      } else {
        rmSync(filler)
        await eventually('the node to write again', async () => (await client.call('SET', 'healed', '1')) === 'OK', 20_000)
        expect(await lost(client, acked)).toEqual([])
        acked.keys.set('healed', '1')
        await node.kill9()
      }
    }
    rmSync(filler, { force: true })
    await using again = await startNode({ dir, args })
    await using client = await again.connect()
    console.log(`full disk, run ${run}: ${countOf(acked)} acknowledged (seed ${SEED})`)
    expect(await lost(client, acked)).toEqual([])
    expect(await lawHolds(client)).toBe(true)
    expect(await client.call('SET', 'after', '1')).toBe('OK')
  },
)

it.skipIf(!canMount)('on a small disk the default leaves a tenth of it free, and writes until then', async () => {
  const dir = smallDisk(32 * MIB)!
  await using node = await startNode({ dir })
  await using client = await node.connect()
  expect(await client.call('CONFIG', 'GET', 'aof-min-free')).toEqual(['aof-min-free', 'auto'])
  expect(await client.call('SET', 'a', '1')).toBe('OK')
  writeFileSync(join(dir, 'filler'), Buffer.alloc(30 * MIB))
  const refusal = await eventually('a refusal', async () => {
    const reply = await client.call('SET', 'a', '2')
    return reply instanceof ErrorReply ? reply : null
  })
  expect(refusal.text).toMatch(/^MISCONF disk nearly full/)
  rmSync(join(dir, 'filler'))
  await eventually('writes to be accepted again', async () => (await client.call('SET', 'a', '3')) === 'OK')
})

it.skipIf(!canMount)('with little space left, writes are refused before anything is executed', async () => {
  const dir = smallDisk(64 * MIB)!
  await using node = await startNode({ dir, args: ['--aof-min-free', '32mb', '--aof-segment-size', '1mb'] })
  await using client = await node.connect()
  expect(await client.call('SET', 'a', '1')).toBe('OK')
  writeFileSync(join(dir, 'filler'), Buffer.alloc(40 * MIB))
  const refusal = await eventually('a refusal', async () => {
    const reply = await client.call('SET', 'a', '2')
    return reply instanceof ErrorReply ? reply : null
  })
  expect(refusal.text).toMatch(/^MISCONF .*nearly full.*not executed/)
  const before = await client.call('GET', 'a')
  expect(await client.call('INCR', 'a')).toBeInstanceOf(ErrorReply)
  expect(await client.call('GET', 'a')).toBe(before)
  rmSync(join(dir, 'filler'))
  await eventually('writes to be accepted again', async () => (await client.call('SET', 'a', '3')) === 'OK')
})

it.skipIf(!canMount || !HAS_REDIS)(
  'the rival: redis-server everysec on the same full disk, then kill -9',
  { timeout: 120_000 },
  async () => {
    const dir = smallDisk(6 * MIB)!
    const args = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--auto-aof-rewrite-percentage', '0']
    const acked = noneAcked()
    {
      await using redis = await startRedis({ dir, args })
      writeFileSync(join(dir, 'filler'), Buffer.alloc(2 * MIB))
      const load = new Load('redis', 'full', new Random(SEED), acked)
      const loading = load.run(redis.port, 4, () => {})
      await eventually('writes to be refused', () => (load.refused.get('MISCONF') ?? 0) > 50, 60_000)
      load.stop()
      await loading
      await redis.kill9()
    }
    rmSync(join(dir, 'filler'))
    // A torn tail stops redis-server unless it may cut it.
    await using again = await startRedis({ dir, args: [...args, '--aof-load-truncated', 'yes'] })
    await using client = await again.connect()
    console.log(`redis everysec, full disk then kill -9: ${countOf(acked)} acknowledged, ${(await lost(client, acked)).length} lost`)
  },
)
