import { describe, expect, it } from 'vitest'
import type { CommandSpec } from '../../../src/engine/command.ts'
import { Pattern } from '../../../src/server/commands/pattern.ts'
import { parseSyntax } from '../../../src/server/commands/syntax.ts'
import type { Argument } from '../../../src/server/commands/syntax.ts'
import { NodeStage } from './node-stage.ts'

/** Arguments as redis-cli shows them in a hint. */
function hint(args: readonly Argument[], joint = ' '): string {
  return args
    .map((argument) => {
      const inner =
        argument.type === 'oneof'
          ? hint(argument.parts, ' | ')
          : argument.type === 'block'
            ? hint(argument.parts)
            : argument.type === 'pure-token'
              ? ''
              : argument.name
      const words = [argument.token ?? '', inner].filter((word) => word !== '').join(' ')
      const repeated = argument.multiple ? `${words} [${inner} ...]` : words
      return argument.optional ? `[${repeated}]` : repeated
    })
    .join(joint)
}

describe('the notation of arguments', () => {
  it.each([
    'key value',
    'key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]',
    'key [key ...]',
    'key value [key value ...]',
    'source destination [DB destination-db] [REPLACE]',
    '[section [section ...]]',
    'order [EX seconds | PX milliseconds] [PAID] [REF ref] ITEMS sku quantity [sku quantity ...]',
    'order [REF payment-ref] [LATE] [ITEMS sku quantity [sku quantity ...]]',
    'cursor [MATCH pattern] [COUNT count] [TYPE type]',
    '',
  ])('%j comes out as it went in', (syntax) => {
    expect(hint(parseSyntax(syntax))).toBe(syntax)
  })

  it('tells kinds apart: keys, tokens, blocks, choices', () => {
    const [sku, quantity] = parseSyntax('sku quantity [sku quantity ...]', new Set(['sku']))[0].parts
    expect([sku.type, quantity.type]).toEqual(['key', 'integer'])
    const [choice] = parseSyntax('<ON | OFF>')
    expect({ type: choice.type, parts: choice.parts.map((part) => [part.type, part.token]) }).toEqual({
      type: 'oneof',
      parts: [
        ['pure-token', 'ON'],
        ['pure-token', 'OFF'],
      ],
    })
    const [items] = parseSyntax('ITEMS sku quantity [sku quantity ...]')
    expect([items.type, items.token, items.multiple, items.parts.length]).toEqual(['block', 'ITEMS', true, 2])
    const [timeout] = parseSyntax('EX seconds | PX milliseconds')
    expect([timeout.type, timeout.optional]).toEqual(['oneof', false])
  })

  it('a missing bracket is found when the node is tested, not when a client asks', () => {
    expect(() => parseSyntax('[a')).toThrow('lacks a ]')
    expect(() => parseSyntax('a]')).toThrow('a bracket too many')
    expect(() => parseSyntax('...')).toThrow('repeats nothing')
  })
})

describe('specs', () => {
  const { node } = new NodeStage()
  const all = node.commands.specs.flatMap((spec): [string, CommandSpec][] => [
    [spec.name, spec],
    ...(spec.subcommands ?? []).map((part): [string, CommandSpec] => [`${spec.name} ${part.name}`, part]),
  ])

  it.each(all)('%s has a syntax that can be read, a summary, and one speed', (_, spec) => {
    const args = parseSyntax(spec.syntax)
    expect(spec.summary).not.toBe('')
    expect(spec.complexity).not.toBe('')
    expect(spec.since).toMatch(/^\d+\.\d+\.\d+$/)
    expect(spec.categories.filter((category) => category === 'fast' || category === 'slow')).toHaveLength(1)
    expect(spec.categories.includes('fast')).toBe(spec.flags.includes('fast'))
    if (spec.flags.includes('write') && !spec.categories.includes('scripting')) expect(spec.categories).toContain('write')
    if (spec.flags.includes('admin')) expect(spec.categories).toEqual(expect.arrayContaining(['admin', 'dangerous']))
    if (spec.syntax === '' || spec.subcommands !== undefined) return
    // What the arity demands, the syntax shows.
    const words = spec.name.includes(' ') ? 2 : 1
    const needed = args.filter((argument) => !argument.optional).length
    if (spec.arity > 0) expect(needed).toBeLessThanOrEqual(spec.arity - words + 1)
  })
})

describe('COMMAND', () => {
  it('DOCS are maps in RESP3 and flat in RESP2', () => {
    const client = new NodeStage().connect()
    expect(client.ask('COMMAND DOCS ping')).toBe(
      '*2\r\n$4\r\nping\r\n*10\r\n$7\r\nsummary\r\n$28\r\nAnswers PONG, or the message\r\n$5\r\nsince\r\n$5\r\n1.0.0\r\n$5\r\ngroup\r\n$10\r\nconnection\r\n' +
        '$10\r\ncomplexity\r\n$4\r\nO(1)\r\n$9\r\narguments\r\n*1\r\n*6\r\n$4\r\nname\r\n$7\r\nmessage\r\n$4\r\ntype\r\n$6\r\nstring\r\n$5\r\nflags\r\n' +
        '*1\r\n+optional\r\n',
    )
    client.ask('HELLO 3')
    expect(client.ask('COMMAND DOCS ping nothing')).toMatch(/^%1\r\n\$4\r\nping\r\n%5\r\n/)
    expect(client.ask('COMMAND DOCS config|get')).toMatch(/^%1\r\n\$10\r\nconfig\|get\r\n/)
  })

  it('GETKEYS finds the key of a STOCK command', () => {
    const client = new NodeStage().connect()
    expect(client.ask('COMMAND GETKEYS STOCK.RESERVE {u1}a ITEMS book 1')).toBe('*1\r\n$5\r\n{u1}a\r\n')
    expect(client.ask('COMMAND GETKEYS MSET a 1 b 2')).toBe('*2\r\n$1\r\na\r\n$1\r\nb\r\n')
    expect(client.ask('COMMAND GETKEYSANDFLAGS GET a')).toBe('*1\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n')
  })

  it('LIST filters by category and pattern, and takes no name from an object', () => {
    const client = new NodeStage().connect()
    expect(client.ask('COMMAND LIST FILTERBY PATTERN stock.aof|c*')).toBe('*1\r\n$17\r\nstock.aof|compact\r\n')
    expect(client.ask('COMMAND LIST FILTERBY ACLCAT constructor')).toBe('*0\r\n')
    expect(client.ask('COMMAND INFO __proto__ constructor')).toBe('*2\r\n$-1\r\n$-1\r\n')
  })
})

describe('patterns', () => {
  it.each([
    ['*', 'anything', true],
    ['', '', true],
    ['', 'a', false],
    ['max*', 'maxmemory', true],
    ['*memory', 'maxmemory', true],
    ['m*x*m*y', 'maxmemory', true],
    ['m?x*', 'maxmemory', true],
    ['[hx]z', 'hz', true],
    ['[^h]z', 'hz', false],
    ['[a-i]z', 'hz', true],
    ['[i-a]z', 'hz', true],
    ['\\*', '*', true],
    ['\\*', 'a', false],
    ['HZ', 'hz', true],
    ['a*b', 'ac', false],
    ['[h', 'h', true],
    ['*a*a*a*a*a*a*a*a*a*b', 'a'.repeat(60), false],
  ])('%j on %j: %s', (pattern, name, expected) => {
    expect(new Pattern(pattern).matches(name)).toBe(expected)
  })
})
