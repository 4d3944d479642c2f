// What may differ between redis-server 7.0.15 and stockd, each with its reason. Everything else is compared byte for byte.

import { decodeReply } from '../support/raw-client.ts'
import type { Command } from './random-commands.ts'

interface Difference {
  readonly name: string
  readonly reason: string
  /** True if these two replies to this command may stand beside each other for this reason. */
  readonly allows: (name: string, command: Command, redis: Buffer, stockd: Buffer) => boolean
}

/** How much the two servers' clocks and turns may be apart. */
const CLOCKS_MS = 5000

const text = (reply: Buffer): string => reply.toString('latin1')

/** An array, a map or a set. */
const isList = (reply: Buffer): boolean => reply[0] === 42 || reply[0] === 37 || reply[0] === 126

/** All that is in a reply, with its type, sorted; fields stay with their values. */
function sortedElements(name: string, reply: Buffer): string {
  const value = decodeReply(reply)
  let elements: unknown[] = value instanceof Map ? [...value] : value instanceof Set ? [...value] : (value as unknown[])
  if (name === 'HGETALL' && Array.isArray(value)) elements = pairs(value)
  return JSON.stringify([text(reply.subarray(0, reply.indexOf('\r'))), elements.map((element) => JSON.stringify(element)).toSorted()])
}

export const pairs = (list: readonly unknown[]): unknown[] =>
  Array.from({ length: list.length / 2 }, (_, i) => [list[2 * i], list[2 * i + 1]])

/** Lengths of lists, kinds of values. */
function shapeOf(value: unknown): string {
  return Array.isArray(value) ? `[${value.map(shapeOf).join()}]` : typeof value
}

export const DIFFERENCES: readonly Difference[] = [
  {
    name: 'order of keys',
    reason: 'Redis does not promise one; each server has the order of its own hash.',
    allows(name, _command, redis, stockd) {
      if (name !== 'KEYS' || redis[0] !== 42 || stockd[0] !== 42) return false
      const sorted = (reply: Buffer): string => JSON.stringify((decodeReply(reply) as string[]).toSorted())
      return sorted(redis) === sorted(stockd)
    },
  },
  {
    name: 'order of elements',
    reason: 'As long as Redis keeps them in a hash table: each server has the order of its own hash. (In its compact forms they have one.)',
    allows(name, _command, redis, stockd) {
      if (!/^(HGETALL|HKEYS|HVALS|HRANDFIELD|SMEMBERS|SINTER|SUNION|SDIFF|SPOP|SRANDMEMBER)$/.test(name)) return false
      if (!isList(redis) || !isList(stockd)) return false
      return sortedElements(name, redis) === sortedElements(name, stockd)
    },
  },
  {
    name: 'random elements',
    reason: 'They are random; as many must come, in the same shape. (unit/engine/random-elements.test.ts checks which.)',
    allows(name, command, redis, stockd) {
      if (!/^(HRANDFIELD|SRANDMEMBER|ZRANDMEMBER)$/.test(name)) return false
      if (command.length === 2) return [redis, stockd].every((reply) => reply[0] === 36 && !text(reply).startsWith('$-1'))
      // That many are all of them.
      if (Number(command[2]) > 10_000) return false
      return isList(redis) && isList(stockd) && shapeOf(decodeReply(redis)) === shapeOf(decodeReply(stockd))
    },
  },
  {
    name: 'cursors',
    reason: 'What a cursor other than 0 means is known only to the server that gave it; whole iterations are compared as sets.',
    allows(name, command, redis, stockd) {
      return (
        (name === 'SCAN' || name === 'HSCAN' || name === 'SSCAN' || name === 'ZSCAN') &&
        !/^0?$/.test(command[name === 'SCAN' ? 1 : 2]) &&
        [redis, stockd].every((reply) => /^\*2\r\n\$[0-9]+\r\n[0-9]+\r\n\*/.test(text(reply)))
      )
    },
  },
  {
    name: 'time to live',
    reason: 'The same relative time is given to the two servers a moment apart, and their clocks are two.',
    allows(name, _command, redis, stockd) {
      const scale = name === 'TTL' || name === 'EXPIRETIME' ? 1000n : name === 'PTTL' || name === 'PEXPIRETIME' ? 1n : 0n
      if (scale === 0n || !/^:[0-9]+\r\n$/.test(text(redis)) || !/^:[0-9]+\r\n$/.test(text(stockd))) return false
      const apart = (BigInt(text(redis).slice(1, -2)) - BigInt(text(stockd).slice(1, -2))) * scale
      return apart <= CLOCKS_MS && apart >= -CLOCKS_MS
    },
  },
  {
    name: 'a random key',
    reason: 'It is random; scan.test.ts checks that it is a key.',
    allows(name, _command, redis, stockd) {
      return (
        name === 'RANDOMKEY' && redis[0] === 36 && stockd[0] === 36 && !text(redis).startsWith('$-1') && !text(stockd).startsWith('$-1')
      )
    },
  },
]

/** Null if the replies are the same, or differ in a way that is listed above; else what to say. */
export function disagreement(command: Command, redis: Buffer, stockd: Buffer): string | null {
  if (redis.equals(stockd)) return null
  const name = (command[0] ?? '').toUpperCase()
  if (DIFFERENCES.some((difference) => difference.allows(name, command, redis, stockd))) return null
  return `${JSON.stringify(command)}\n    redis:  ${JSON.stringify(text(redis).slice(0, 500))}\n    stockd: ${JSON.stringify(text(stockd).slice(0, 500))}`
}
