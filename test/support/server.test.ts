// The harness itself, on redis-server: servers start, answer, restart on their data and leave nothing behind.

import { describe, expect, it } from 'vitest'
import { HAS_REDIS, startRedis } from './server.ts'

describe.skipIf(!HAS_REDIS)('a private redis-server', () => {
  it('starts, answers, is killed, and comes back with its log', async () => {
    const first = await startRedis({ args: ['--appendonly', 'yes'] })
    {
      await using client = await first.connect()
      expect(await client.call('SET', 'a', '1')).toBe('OK')
      expect(
        (
          await client.pipeline([
            ['GET', 'a'],
            ['GET', 'b'],
          ])
        ).map(String),
      ).toEqual(['$1\r\n1\r\n', '$-1\r\n'])
    }
    await first.kill9()
    expect(first.exit).toEqual({ code: null, signal: 'SIGKILL' })

    await using second = await startRedis({ args: ['--appendonly', 'yes'], dir: first.dir })
    await using client = await second.connect()
    expect(await client.call('GET', 'a')).toBe('1')
    expect(await second.stop()).toEqual({ code: 0, signal: null })
  })

  it('tells what it printed when it cannot start', async () => {
    await expect(startRedis({ args: ['--no-such-option', '1'] })).rejects.toThrow(/Bad directive|no-such-option/)
  })
})
