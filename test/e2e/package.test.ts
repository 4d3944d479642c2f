// The package as it is published: built JavaScript without the sources, started as an installed command.

import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { run } from '../support/run.ts'
import { startNode } from '../support/server.ts'
import { tempDir } from '../support/temp-dir.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

describe('the published package', () => {
  const installed = join(tempDir(), 'stockd')
  const command = (name: string): string => join(installed, 'bin', `${name}.js`)

  beforeAll(async () => {
    mkdirSync(installed)
    for (const part of ['package.json', 'bin']) cpSync(join(ROOT, part), join(installed, part), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(installed, 'node_modules'))
    const built = await run(['npm', 'run', 'build', '--', '--outDir', join(installed, 'dist')], { cwd: ROOT })
    expect(built.stdout + built.stderr).not.toContain('error TS')
    expect(built.code).toBe(0)
  })

  it('says its version', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    expect(await run([process.execPath, command('stockd'), '--version'])).toMatchObject({ code: 0, stdout: `stockd ${version}\n` })
  })

  it('serves, compacts its log in a worker, and comes back with everything', async () => {
    const first = await startNode({ program: command('stockd') })
    {
      await using client = await first.connect()
      await client.call('STOCK.CREATE', 'sku:book', 10)
      expect(await client.call('STOCK.RESERVE', '{ann}1', 'ITEMS', 'sku:book', 2)).toMatchObject({ 0: 'OK', 2: 8, 3: 2 })
      await client.call('BGREWRITEAOF')
      await eventually('the compaction to end well', async () => {
        const info = String(await client.call('INFO', 'persistence'))
        return (
          info.includes('aof_rewrite_in_progress:0') &&
          info.includes('aof_last_bgrewrite_status:ok') &&
          !info.includes('aof_last_rewrite_time_sec:-1')
        )
      })
    }
    expect(await first.stop()).toEqual({ code: 0, signal: null })
    // Its outbox is a worker, too: a clean stop waits until it has stored everything.
    expect(first.log()).toContain('every event of the log is on its way or stored')
    await using second = await startNode({ program: command('stockd'), dir: first.dir })
    await using client = await second.connect()
    expect(await client.call('STOCK.GET', 'sku:book')).toBe(8)
  })

  it('checks a log directory', async () => {
    const node = await startNode({ program: command('stockd') })
    await node.stop()
    expect(await run([process.execPath, command('stockd-aof'), 'check', node.dir])).toMatchObject({ code: 0 })
  })

  it('says what it needs when Node is too old', async () => {
    // The check must be understood by a Node that knows nothing of what follows it.
    const old = `Object.defineProperty(process.versions, 'node', { value: '20.1.0' })`
    for (const name of ['stockd', 'stockd-aof', 'stockd-orders']) {
      const ended = await run([process.execPath, '--import', `data:text/javascript,${encodeURIComponent(old)}`, command(name), '--version'])
      expect(ended.code).not.toBe(0)
      expect(ended.stderr).toContain('needs Node.js 24')
    }
  })
})
