import { describe, expect, it } from 'vitest'
import { absence } from '../../../src/server/absent.ts'
import { NodeStage } from './node-stage.ts'

describe('a command of Redis that is not here', () => {
  const client = new NodeStage().connect()

  it.each([
    ['EVAL x 0', 'no scripts here'],
    ['script load x', 'no scripts here'],
    ['SETBIT k 1 1', 'no bitmaps here'],
    ['GEOADD k 1 1 m', 'no geo commands here'],
    ['PFADD k m', 'no HyperLogLog here'],
    ['SORT k', 'no SORT here'],
    ['DUMP k', 'no RDB here'],
    ['PSYNC ? -1', 'no replicas here'],
  ])('is unknown, and the error says why: %s', (command, why) => {
    const [name, ...args] = command.split(' ')
    const quoted = args.map((arg) => `'${arg}' `).join('')
    expect(client.ask(command)).toMatch(`-ERR unknown command '${name}', with args beginning with: ${quoted}(${why}`)
  })

  it('nothing is said of names that are not of Redis', () => {
    expect(client.ask('BAD x')).toBe("-ERR unknown command 'BAD', with args beginning with: 'x' \r\n")
  })

  it('nothing is said to be missing that is there', () => {
    const names = client.text('COMMAND LIST').match(/^[a-z][a-z0-9._]*$/gm) ?? []
    expect(names).toContain('get')
    for (const name of names) expect(absence(name), name).toBe('')
  })
})

describe('what tools ask for in passing', () => {
  it('MODULE LIST is an empty list, and no module can be loaded', () => {
    const client = new NodeStage().connect()
    expect(client.ask('MODULE LIST')).toBe('*0\r\n')
    expect(client.ask('MODULE LOAD x.so')).toBe("-ERR unknown subcommand 'LOAD'. Try MODULE HELP.\r\n")
    expect(client.ask('MODULE HELP')).toMatch(/^\*5\r\n/)
  })

  it('FUNCTION HELP is there, since the error for other words names it', () => {
    const client = new NodeStage().connect()
    expect(client.ask('FUNCTION LOAD x')).toBe("-ERR unknown subcommand 'LOAD'. Try FUNCTION HELP.\r\n")
    expect(client.ask('FUNCTION HELP')).toMatch(/^\*7\r\n/)
  })

  it('READONLY, READWRITE and ASKING say that this is no cluster', () => {
    const client = new NodeStage().connect()
    for (const name of ['READONLY', 'READWRITE', 'ASKING'])
      expect(client.ask(name)).toBe('-ERR This instance has cluster support disabled\r\n')
  })
})
