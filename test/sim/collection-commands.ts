// Random commands over a few hashes, lists, sets and sorted sets, so that each passes through all its forms, in both directions: elements
// come one by one and by the hundred, short and long, and go again; keys expire, are copied, moved and overwritten by others.

import type { Random } from '../../src/base/random.ts'

const HASHES = ['c:h1', 'c:h2']
const LISTS = ['c:l1', 'c:l2']
const SETS = ['c:s1', 'c:s2', 'c:i1']
const ZSETS = ['c:z1', 'c:z2']
const ALL = [...HASHES, ...LISTS, ...SETS, ...ZSETS]

/** What these commands may be refused with. */
export const COLLECTION_REFUSALS =
  /^(WRONGTYPE|ERR (no such key|source and destination objects|index out of range|value is not an integer|hash value is not|resulting score is not))/

export type CollectionCommand = (string | number)[]

/** @param waits also commands that wait: their answer may come later, or never */
export function collectionCommand(random: Random, waits = false): CollectionCommand {
  const key = (keys: readonly string[]): string => (random.chance(0.95) ? random.pick(keys) : random.pick(ALL))
  // Above the limit of what a small form takes, now and then.
  const word = (): string => (random.chance(0.03) ? 'long'.padEnd(random.pick([65, 300, 9000]), 'x') : `w${random.below(60)}`)
  const many = <T>(one: (i: number) => T): T[] => {
    const from = random.below(200)
    return Array.from({ length: random.chance(0.06) ? random.pick([130, 520]) : random.between(1, 4) }, (_, i) => one(from + i))
  }
  const numbered = (prefix: string): string[] => many((i) => (random.chance(0.5) ? word() : `${prefix}${i}`))
  const score = (): string => random.pick(['1', '2.5', '-3', '0', '-0', 'inf', '17'])
  switch (random.below(30)) {
    case 0:
    case 1:
      return ['HSET', key(HASHES), ...many((i) => [`f${i}`, word()]).flat()]
    case 2:
      return ['HDEL', key(HASHES), ...numbered('f')]
    case 3:
      return random.pick([
        ['HINCRBY', key(HASHES), 'n', random.between(-5, 5)],
        ['HINCRBYFLOAT', key(HASHES), 'x', '0.1'],
        ['HSETNX', key(HASHES), word(), word()],
      ])
    case 4:
    case 5:
    case 6:
      return [random.pick(['RPUSH', 'LPUSH']), key(LISTS), ...many(() => word())]
    case 7:
      return [random.pick(['LPOP', 'RPOP']), key(LISTS), random.pick([1, 1, 3, 200])]
    case 8:
      return ['LTRIM', key(LISTS), random.between(0, 3), random.pick([-1, 50, 1])]
    case 9:
      return random.pick([
        ['LSET', key(LISTS), random.between(-3, 3), word()],
        ['LREM', key(LISTS), random.between(-2, 2), word()],
        ['LINSERT', key(LISTS), random.pick(['BEFORE', 'AFTER']), word(), word()],
      ])
    case 10:
      return ['LMOVE', key(LISTS), key(LISTS), random.pick(['LEFT', 'RIGHT']), random.pick(['LEFT', 'RIGHT'])]
    case 11:
    case 12:
      return ['SADD', key(SETS), ...(random.chance(0.5) ? many((i) => i * 7) : numbered('m'))]
    case 13:
      return ['SREM', key(SETS), ...(random.chance(0.5) ? many((i) => i * 7) : numbered('m'))]
    case 14:
      return ['SPOP', key(SETS), random.pick([1, 2, 100])]
    case 15:
      return ['SMOVE', key(SETS), key(SETS), random.pick([word(), String(random.below(200) * 7)])]
    case 16:
      return [random.pick(['SUNIONSTORE', 'SINTERSTORE', 'SDIFFSTORE']), key(SETS), key(SETS), key(SETS)]
    case 17:
    case 18:
      return [
        'ZADD',
        key(ZSETS),
        ...random.pick([[], [], ['NX'], ['GT', 'CH']]),
        ...many((i) => [score(), random.chance(0.5) ? word() : `m${i}`]).flat(),
      ]
    case 19:
      return ['ZREM', key(ZSETS), ...numbered('m')]
    case 20:
      return random.pick([
        ['ZINCRBY', key(ZSETS), score(), word()],
        [random.pick(['ZPOPMIN', 'ZPOPMAX']), key(ZSETS), random.pick([1, 5, 100])],
        ['ZREMRANGEBYSCORE', key(ZSETS), '-inf', random.pick(['1', '2.5'])],
        ['ZREMRANGEBYRANK', key(ZSETS), random.below(3), random.pick([0, 5, -1])],
      ])
    case 21:
      return random.chance(0.5)
        ? ['ZRANGESTORE', key(ZSETS), key(ZSETS), 0, random.pick([-1, 3])]
        : [random.pick(['ZUNIONSTORE', 'ZINTERSTORE', 'ZDIFFSTORE']), key(ZSETS), 2, key(ZSETS), key(random.chance(0.5) ? ZSETS : SETS)]
    case 22:
      return ['PEXPIRE', key(ALL), random.pick([1, 30, 3000, 100_000])]
    case 23:
      return random.chance(0.5) ? ['PERSIST', key(ALL)] : ['EXPIREAT', key(ALL), 1]
    case 24:
      return ['COPY', key(ALL), key(ALL), 'REPLACE']
    case 25:
      return ['RENAME', key(ALL), key(ALL)]
    case 26:
      return random.chance(0.3) ? ['SET', key(ALL), word()] : ['DEL', key(ALL)]
    case 27:
      return waits
        ? random.pick([
            [random.pick(['BLPOP', 'BRPOP']), key(LISTS), key(LISTS), '0.05'],
            ['BLMOVE', key(LISTS), key(LISTS), 'LEFT', 'RIGHT', '0.5'],
            ['BLMPOP', '5', 2, key(LISTS), key(LISTS), 'LEFT', 'COUNT', 3],
            [random.pick(['BZPOPMIN', 'BZPOPMAX']), key(ZSETS), '2'],
            ['BZMPOP', '0.2', 1, key(ZSETS), 'MIN', 'COUNT', 2],
          ])
        : ['LMPOP', 2, key(LISTS), key(LISTS), 'LEFT', 'COUNT', 2]
    default:
      return random.pick([
        ['HLEN', key(HASHES)],
        ['LRANGE', key(LISTS), 0, 2],
        ['SCARD', key(SETS)],
        ['ZSCORE', key(ZSETS), word()],
        ['OBJECT', 'ENCODING', key(ALL)],
      ])
  }
}
