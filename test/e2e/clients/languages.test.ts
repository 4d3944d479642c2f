// Clients of other languages live a shop's day, on redis-server and on stockd: both must tell them the same.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { run } from '../../support/run.ts'
import { HAS_REDIS, startNode, startRedis } from '../../support/server.ts'
import type { Server } from '../../support/server.ts'

let redis: Server
let node: Server
beforeAll(async () => {
  if (HAS_REDIS) redis = await startRedis({ args: ['--save', ''] })
  node = await startNode({ args: ['--orders-db', 'no'] })
})

const CLIENTS = [
  { name: 'phpredis', command: ['php'], script: 'life.php', probe: ['-r', 'exit(extension_loaded("redis") ? 0 : 1);'] },
  { name: 'redis-rb', command: ['ruby'], script: 'life.rb', probe: ['-e', 'require "redis"'] },
  { name: 'redis-py', command: ['/usr/bin/python3'], script: 'life.py', probe: ['-c', 'import redis'] },
] as const

describe.each(CLIENTS)('$name', ({ command, script, probe }) => {
  const isThere = HAS_REDIS && spawnSync(command[0], probe).status === 0

  it.skipIf(!isThere)('is told the same as by redis-server', async () => {
    const file = fileURLToPath(new URL(script, import.meta.url))
    const live = async (server: Server): Promise<string[]> => {
      const { code, stdout, stderr } = await run([...command, file, String(server.port)])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      return stdout.split('\n')
    }
    const expected = await live(redis)
    expect(expected.length).toBeGreaterThan(30)
    expect(expected.at(-2)).toMatch(/^flush: \[.*, ?0\]$/)
    expect(await live(node)).toEqual(expected)
  })
})
