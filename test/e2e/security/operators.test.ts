// SECURITY, section 1: what only an operator may do, and what nobody may.

import { readFileSync } from 'node:fs'
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

describe('secrets', () => {
  it('are in no place where others look: MONITOR, SLOWLOG, ACL LOG, CLIENT LIST, INFO, the log, the list of processes', async () => {
    const args = ['--slowlog-log-slower-than', '0', '--loglevel', 'debug']
    await using server = await startNode({ args, env: { STOCKD_REQUIREPASS: 'hunter2' } })
    await using monitor = await server.connect()
    await using client = await server.connect()
    expect(await monitor.call('AUTH', 'hunter2')).toBe('OK')
    expect(await monitor.call('MONITOR')).toBe('OK')
    const secrets = ['hunter2', 'hunter3', 'hunter4', 'hunter5', 'hunter6', 'hunter7', 'hunter8']
    for (const command of [
      ['AUTH', 'hunter3'],
      ['AUTH', 'default', 'hunter2'],
      ['HELLO', '3', 'AUTH', 'default', 'hunter2'],
      ['ACL', 'SETUSER', 'someone', 'on', '>hunter4', '+@all'],
      ['CONFIG', 'SET', 'requirepass', 'hunter5'],
      ['CONFIG', 'SET', 'maxclients', '100', 'tls-key-file-pass', 'hunter6'],
      ['ACL', 'DRYRUN', 'someone', 'AUTH', 'hunter8'],
      ['HELLO', '2', 'AUTH', 'someone', 'hunter7'],
    ])
      await client.command(...command)
    const places = [
      ['SLOWLOG', 'GET', '-1'],
      ['ACL', 'LOG'],
      ['ACL', 'LIST'],
      ['ACL', 'GETUSER', 'someone'],
      ['CLIENT', 'LIST'],
      ['INFO', 'everything'],
    ]
    let seen = ''
    for (const place of places) seen += (await client.command(...place)).toString('latin1')
    await client.command('ECHO', 'the end')
    for (let line = ''; !line.includes('the end'); seen += line) line = (await monitor.read()).toString('latin1')
    seen += server.log()
    if (process.platform === 'linux') seen += readFileSync(`/proc/${server.pid}/cmdline`, 'latin1')
    expect(seen).toMatch(/\(redacted\)/)
    for (const secret of secrets) expect(seen.includes(secret), secret).toBe(false)
  })
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
