// SECURITY, section 1: what only an operator may do, and what nobody may.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ErrorReply } from '../../support/raw-client.ts'
import { startNode } from '../../support/server.ts'
import type { Server } from '../../support/server.ts'

let node: Server
beforeAll(async () => {
  node = await startNode()
})
afterAll(async () => {
  expect(await node.stop()).toEqual({ code: 0, signal: null })
})

describe('row: dangerous', () => {
  it('CONFIG SET moves no file and no address, DEBUG is closed', async () => {
    await using client = await node.connect()
    for (const name of [
      'dir',
      'logfile',
      'bind',
      'port',
      'appendonly',
      'unsafe-no-lock',
      'enable-debug-command',
      'aof-ballast',
      'orders-db',
      'amqp',
      'http',
      'http-bind',
      'tls-port',
    ])
      expect(await client.call('CONFIG', 'SET', name, '/tmp/x'), name).toMatchObject({
        text: expect.stringMatching(/can't set (immutable|protected) config/),
      })
    for (const name of ['dbfilename', 'appendfilename', 'appenddirname', 'aclfile', 'loadmodule', 'pidfile', 'unixsocket', '__proto__'])
      expect(await client.call('CONFIG', 'SET', name, '/tmp/x'), name).toMatchObject({
        text: expect.stringMatching(/^ERR (Unknown option|CONFIG SET failed .* - can't set (immutable|protected) config)/),
      })
    for (const words of ['SLEEP 60', 'SEGFAULT', 'RELOAD', 'SET-ACTIVE-EXPIRE 0'])
      expect(await client.call('DEBUG', ...words.split(' '))).toMatchObject({
        text: expect.stringMatching(/^ERR DEBUG command not allowed/),
      })
    expect(await client.call('SHUTDOWN', 'ABORT')).toEqual(new ErrorReply('ERR No shutdown in progress.'))
  })

  it('is @dangerous, so that an ACL can take it away', async () => {
    await using client = await node.connect()
    const dangerous = (await client.call('COMMAND', 'LIST', 'FILTERBY', 'ACLCAT', 'dangerous')) as string[]
    expect(dangerous).toEqual(expect.arrayContaining(['debug', 'shutdown', 'flushall', 'flushdb', 'config|set', 'keys', 'client|kill']))
  })
})
