// One fsync that fails, injected by strace into a running node: from that moment nothing is acknowledged, nothing is retried on the same
// file, the node stays up for reading, and STOCK.AOF REOPEN writes the doubtful records again into a new segment.

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/base/random.ts'
import { eventually } from '../../support/eventually.ts'
import type { ErrorReply } from '../../support/raw-client.ts'
import { HAS_REDIS, hasProgram, startNode, startRedis } from '../../support/server.ts'
import type { Server } from '../../support/server.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { Load, SKU, TOTAL, countOf, lawHolds, lost, noneAcked } from './load.ts'

const SEED = Number(process.env.STOCKD_SEED ?? Date.now() % 1_000_000)

/** Makes the `when`-th fsync or fdatasync of each thread of a process fail with EIO, until `detach`. */
async function injectFsyncError(server: Server, when: number): Promise<{ trace: () => string; detach: () => Promise<void> }> {
  const file = join(tempDir(), 'strace')
  const calls = 'fsync,fdatasync'
  const tracer = spawn(
    'strace',
    ['-f', '-qq', '-p', String(server.pid), '-o', file, '-e', `trace=${calls}`, '-e', `inject=${calls}:error=EIO:when=${when}`],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let said = ''
  tracer.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  // Attached is what /proc says, not what was printed.
  await eventually(`strace to attach (${said})`, () => /TracerPid:\t[1-9]/.test(readFileSync(`/proc/${server.pid}/status`, 'utf8')))
  const ended = new Promise<void>((resolve) => tracer.once('exit', () => resolve()))
  return {
    trace: () => readFileSync(file, 'utf8'),
    detach: () => {
      tracer.kill('SIGINT')
      return ended
    },
  }
}

describe.skipIf(!hasProgram('strace'))('one fsync error', () => {
  it('with appendfsync always: 0 unsafe acknowledgements, read-only, reopened in place', { timeout: 120_000 }, async () => {
    const dir = tempDir()
    const args = ['--appendfsync', 'always']
    const acked = noneAcked()
    {
      await using node = await startNode({ dir, args })
      await using client = await node.connect()
      await client.call('STOCK.CREATE', SKU, TOTAL)
      const load = new Load('stockd', 'before', new Random(SEED), acked)
      const { trace, detach } = await injectFsyncError(node, 25)
      const loading = load.run(node.port, 4, () => {})
      await eventually('writes to be refused', () => (load.refused.get('MISCONF') ?? 0) > 20, 30_000)
      load.stop()
      await loading
      const refusal = await client.call('SET', 'refused', '1')
      expect((refusal as ErrorReply).text).toMatch(/^MISCONF AOF fsync failed \(EIO\).*read-only/)
      // Not one more fsync on the file that failed.
      expect(
        trace()
          .slice(trace().indexOf('INJECTED'))
          .match(/(fsync|fdatasync)\(/g) ?? [],
      ).toEqual([])
      // It still answers, and knows all that it acknowledged.
      expect(await client.call('PING')).toBe('PONG')
      expect(await lost(client, acked, true)).toEqual([])

      await detach()
      const askedAt = performance.now()
      expect(await client.call('STOCK.AOF', 'REOPEN')).toBe('OK')
      await eventually('writes to be accepted', async () => (await client.call('SET', 'reopened', '1')) === 'OK', 5_000)
      console.log(`reopened within ${Math.round(performance.now() - askedAt)} ms`)
      acked.keys.set('reopened', '1')
      await node.kill9()
    }
    await using again = await startNode({ dir, args })
    await using client = await again.connect()
    console.log(`fsync error, always: ${countOf(acked)} acknowledged (seed ${SEED})`)
    expect(await lost(client, acked)).toEqual([])
    expect(await lawHolds(client)).toBe(true)
  })

  it('with appendfsync everysec: the range at risk is named and the node is read-only', { timeout: 120_000 }, async () => {
    const dir = tempDir()
    await using node = await startNode({ dir, args: ['--appendfsync', 'everysec'] })
    await using client = await node.connect()
    await client.call('STOCK.CREATE', SKU, TOTAL)
    const acked = noneAcked()
    const load = new Load('stockd', 'everysec', new Random(SEED), acked)
    const { detach } = await injectFsyncError(node, 1)
    const loading = load.run(node.port, 2, () => {})
    await eventually('writes to be refused', () => (load.refused.get('MISCONF') ?? 0) > 20, 30_000)
    load.stop()
    await loading
    const refusal = await client.call('SET', 'refused', '1')
    expect((refusal as ErrorReply).text).toMatch(/^MISCONF AOF fsync failed \(EIO\) at LSN \d+\.\.\d+/)
    expect(await lost(client, acked)).toEqual([])
    await detach()
    expect(await client.call('STOCK.AOF', 'REOPEN')).toBe('OK')
    await eventually('writes to be accepted', async () => (await client.call('SET', 'reopened', '1')) === 'OK', 5_000)
  })

  it.skipIf(!HAS_REDIS)('the rival: redis-server everysec acknowledges inside the failed window', { timeout: 60_000 }, async () => {
    await using redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'everysec'] })
    const acked = noneAcked()
    const load = new Load('redis', 'everysec', new Random(SEED), acked)
    const { trace } = await injectFsyncError(redis, 1)
    let atFailure = -1
    const loading = load.run(redis.port, 2, () => {})
    await eventually('the injected error', () => trace().includes('INJECTED'), 20_000)
    atFailure = countOf(acked)
    await eventually('writes after it', () => (load.refused.size > 0 ? true : countOf(acked) > atFailure + 100), 20_000)
    load.stop()
    await loading
    console.log(
      `redis everysec, one fsync error: ${countOf(acked) - atFailure} acknowledged after it, refused ${JSON.stringify([...load.refused])}`,
    )
  })
})
