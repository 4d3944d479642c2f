// What a few clients do at random, who get in each other's way: transactions and what they watch, lists and sorted sets that some wait for,
// channels, notifications of keys. A step is one client's commands in one write.
//
// Only what has one right answer: no hash order, no chance, no time. So sets are of integers, a client has one pattern at most, and nobody
// waits for less than minutes.

import type { Random } from '../../src/base/random.ts'
import type { Command } from './random-commands.ts'

export interface Step {
  readonly client: number
  readonly commands: readonly Command[]
}

export const CLIENTS = 4

const STRINGS = ['k1', 'k2', 'n']
const LISTS = ['l1', 'l2', 'l3']
const SETS = ['s1', 's2']
const ZSETS = ['z1', 'z2']
const HASHES = ['h1', 'h2']
const ALL = [...STRINGS, ...LISTS, ...SETS, ...ZSETS, ...HASHES]
const CHANNELS = ['c1', 'c2', 'news']
const SHARDS = ['x1', 'x2']
/** Of each client its own. */
const PATTERNS = ['c*', '__key*__:*', '?1', '__keyevent@0__:*']
const LONG_WAIT = '1000'

export class RandomCompany {
  readonly #random: Random

  readonly #hasWaits: boolean
  readonly #hasNotices: boolean

  constructor(random: Random, { hasWaits, hasNotices }: { hasWaits: boolean; hasNotices: boolean }) {
    this.#random = random
    this.#hasWaits = hasWaits
    this.#hasNotices = hasNotices
  }

  next(): Step {
    const random = this.#random
    const client = random.below(CLIENTS)
    const commands = Array.from({ length: random.pick([1, 1, 1, 2, 3, 6]) }, () => this.#command(client))
    return { client, commands }
  }

  #command(client: number): string[] {
    const random = this.#random
    const args = this.#valid(client)
    // redis-server puts the notification of such a pop into the midst of its reply: nobody who listens could read on.
    // Into that of EXEC, too.
    if (this.#hasNotices && PATTERNS[client].startsWith('__') && /^(B?Z(M?POP)|MULTI)/.test(args[0])) return ['ZCARD', this.#any(ZSETS)]
    // Ids are each server's own, and all channels have the order of a hash.
    const mayLose = !/^(CLIENT|PUBSUB|S?UNSUBSCRIBE)$/.test(args[0])
    // Without its count SPOP would take whatever it likes.
    if (mayLose && args[0] !== 'SPOP' && random.chance(0.02)) args.splice(random.between(1, args.length), 1)
    if (random.chance(0.02)) args.push(args[0] === 'SADD' ? '7' : 'x')
    return args
  }

  #valid(client: number): string[] {
    const random = this.#random
    switch (random.below(20)) {
      case 0:
        return random.chance(0.9) ? ['MULTI'] : ['DISCARD']
      case 1:
      case 2:
        return ['EXEC']
      case 3:
        return random.chance(0.85) ? ['WATCH', ...this.#many(() => this.#any(ALL))] : ['UNWATCH']
      case 4:
      case 5:
        return this.#hasWaits ? this.#wait() : this.#list()
      case 6:
        return this.#channels(client)
      case 7:
        return random.chance(0.8)
          ? [random.pick(['PUBLISH', 'publish']), random.pick(CHANNELS), this.#value()]
          : ['SPUBLISH', random.pick(SHARDS), this.#value()]
      case 8:
      case 9:
        return this.#connection()
      case 10:
      case 11:
      case 12:
        return this.#generic()
      case 13:
      case 14:
        return this.#string()
      case 15:
      case 16:
        return this.#list()
      case 17:
        return this.#sortedSet()
      case 18:
        return this.#set()
      default:
        return this.#hash()
    }
  }

  /** What waits, if nothing is there. */
  #wait(): string[] {
    const random = this.#random
    const lists = (): string[] => this.#many(() => this.#any(LISTS))
    const zsets = (): string[] => this.#many(() => this.#any(ZSETS))
    const wait = (): string => random.pick(['0', '0', LONG_WAIT, '-1'])
    switch (random.below(8)) {
      case 0:
      case 1:
        return [random.pick(['BLPOP', 'BRPOP']), ...lists(), wait()]
      case 2:
        return ['BLMOVE', this.#any(LISTS), this.#any(LISTS), this.#end(), this.#end(), wait()]
      case 3:
        return ['BRPOPLPUSH', this.#any(LISTS), this.#any(LISTS), wait()]
      case 4: {
        const keys = lists()
        return ['BLMPOP', wait(), String(keys.length), ...keys, this.#end(), ...random.pick([[], ['COUNT', '2']])]
      }
      case 5: {
        const keys = zsets()
        return ['BZMPOP', wait(), String(keys.length), ...keys, random.pick(['MIN', 'MAX']), ...random.pick([[], ['COUNT', '2']])]
      }
      default:
        return [random.pick(['BZPOPMIN', 'BZPOPMAX']), ...zsets(), wait()]
    }
  }

  #channels(client: number): string[] {
    const random = this.#random
    switch (random.below(10)) {
      case 0:
      case 1:
        return ['SUBSCRIBE', ...this.#many(() => random.pick(CHANNELS))]
      case 2:
      case 3:
        return ['UNSUBSCRIBE', ...this.#many(() => random.pick(CHANNELS))]
      case 4:
      case 5:
        return ['PSUBSCRIBE', PATTERNS[client]]
      case 6:
        return random.pick([['PUNSUBSCRIBE', PATTERNS[client]], ['PUNSUBSCRIBE']])
      case 7:
        return ['SSUBSCRIBE', random.pick(SHARDS)]
      case 8:
        return ['SUNSUBSCRIBE', random.pick(SHARDS)]
      default:
        return random.pick([
          ['PUBSUB', 'NUMSUB', ...CHANNELS],
          ['PUBSUB', 'NUMPAT'],
          ['PUBSUB', 'SHARDNUMSUB', ...SHARDS],
          ['PUBSUB', 'CHANNELS', 'news'],
        ])
    }
  }

  #connection(): string[] {
    const random = this.#random
    switch (random.below(9)) {
      case 0:
        return random.chance(0.4) ? ['RESET'] : ['PING', 'hello']
      case 1:
        return ['HELLO', random.pick(['2', '3', '3'])]
      case 2:
        return ['SELECT', random.pick(['0', '0', '1'])]
      case 3:
        // Who waits for several keys that all come at once is given one of them, in redis-server the first of a hash.
        return random.chance(0.3) && !this.#hasWaits ? ['SWAPDB', '0', '1'] : ['PING']
      case 4:
        return ['CLIENT', 'UNBLOCK', `{id ${random.below(CLIENTS)}}`, ...random.pick([[], ['ERROR'], ['TIMEOUT']])]
      case 5:
        return random.pick([
          ['NOSUCH', 'a'],
          ['GET'],
          ['CONFIG', 'GET', 'timeout'],
          ['CLIENT', 'GETNAME'],
          ['OBJECT', 'HELP', 'x'],
          ['EXEC', 'x'],
        ])
      case 6:
        return ['ECHO', this.#value()]
      case 7:
        return ['DBSIZE']
      default:
        return random.chance(0.2) ? [random.pick(['FLUSHDB', 'FLUSHALL'])] : ['PING']
    }
  }

  #generic(): string[] {
    const random = this.#random
    const key = (): string => this.#any(ALL)
    switch (random.below(16)) {
      case 0:
      case 1:
        return [random.pick(['DEL', 'UNLINK']), ...this.#many(key)]
      case 2:
        return ['EXPIRE', key(), random.pick(['1000', '1000', '-1', '0']), ...random.pick([[], [], ['NX'], ['XX']])]
      case 3:
        // Whether one second is greater than another is the same for both only where it does not depend on the moment.
        return ['PEXPIREAT', key(), random.pick(['4000000000000', '1000']), ...random.pick([[], [], ['GT'], ['LT']])]
      case 4:
        return ['PERSIST', key()]
      case 5:
      case 6:
        return [random.pick(['RENAME', 'RENAMENX']), key(), key()]
      case 7:
      case 8:
        return ['COPY', key(), key(), ...random.pick([[], ['REPLACE'], ['DB', '1', 'REPLACE'], ['DB', '0']])]
      case 9:
        return ['MOVE', key(), random.pick(['0', '1'])]
      case 10:
        return ['OBJECT', 'ENCODING', key()]
      case 11:
        return ['TYPE', key()]
      default:
        return [random.pick(['EXISTS', 'TOUCH']), ...this.#many(key)]
    }
  }

  #string(): string[] {
    const random = this.#random
    const key = (): string => this.#any(STRINGS)
    switch (random.below(14)) {
      case 0:
      case 1:
        return [
          'SET',
          key(),
          this.#value(),
          ...random.pick([[], [], ['NX'], ['XX'], ['GET'], ['EX', '1000'], ['KEEPTTL'], ['PX', '900000', 'GET']]),
        ]
      case 2:
        return [random.pick(['GET', 'GETDEL', 'STRLEN']), key()]
      case 3:
        return ['GETEX', key(), ...random.pick([[], ['PERSIST'], ['EX', '1000'], ['EXAT', '1000'], ['PXAT', '4000000000000']])]
      case 4:
        return [random.pick(['GETSET', 'SETNX', 'APPEND']), key(), this.#value()]
      case 5:
        return ['SETRANGE', key(), random.pick(['0', '3']), random.pick(['', 'xyz'])]
      case 6:
      case 7:
        return [random.pick(['INCR', 'DECR']), random.chance(0.7) ? 'n' : key()]
      case 8:
        return ['INCRBYFLOAT', 'n', random.pick(['0.5', '-2', '0'])]
      case 9:
        return [random.pick(['MSET', 'MSETNX']), ...this.#many(() => [key(), this.#value()]).flat()]
      case 10:
        return ['SETEX', key(), random.pick(['1000', '0']), this.#value()]
      default:
        return ['MGET', ...this.#many(key)]
    }
  }

  #list(): string[] {
    const random = this.#random
    const key = (): string => this.#any(LISTS)
    switch (random.below(15)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return [random.pick(['LPUSH', 'RPUSH', 'RPUSH']), key(), ...this.#many(() => this.#value())]
      case 4:
        return [random.pick(['LPUSHX', 'RPUSHX']), key(), this.#value()]
      case 5:
      case 6:
        return [random.pick(['LPOP', 'RPOP']), key(), ...random.pick([[], ['2'], ['0']])]
      case 7:
        return ['LRANGE', key(), '0', '-1']
      case 8:
        return ['LSET', key(), random.pick(['0', '-1', '9']), this.#value()]
      case 9:
        return ['LINSERT', key(), random.pick(['BEFORE', 'AFTER']), this.#value(), this.#value()]
      case 10:
        return ['LREM', key(), '0', this.#value()]
      case 11:
        return ['LTRIM', key(), random.pick(['0', '1', '5']), random.pick(['-1', '2', '0'])]
      case 12:
        return ['LMOVE', key(), key(), this.#end(), this.#end()]
      case 13:
        return ['RPOPLPUSH', key(), key()]
      default:
        return ['LMPOP', '2', key(), key(), this.#end(), ...random.pick([[], ['COUNT', '3']])]
    }
  }

  #sortedSet(): string[] {
    const random = this.#random
    const key = (): string => this.#any(ZSETS)
    const member = (): string => random.pick(['a', 'b', 'c', 'd'])
    const score = (): string => random.pick(['1', '2', '3', '-1.5', 'inf'])
    switch (random.below(13)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return ['ZADD', key(), ...random.pick([[], [], [], ['NX'], ['XX'], ['GT', 'CH'], ['INCR']]), score(), member()]
      case 4:
        return ['ZINCRBY', key(), random.pick(['0', '1', '-1']), member()]
      case 5:
        return ['ZREM', key(), ...this.#many(member)]
      case 6:
        return [random.pick(['ZPOPMIN', 'ZPOPMAX']), key(), ...random.pick([[], ['2'], ['0']])]
      case 7:
        return ['ZRANGE', key(), '0', '-1', 'WITHSCORES']
      case 8:
        // Over a key of another type it wakes nobody in redis-server, as every other command does that makes a sorted set.
        if (this.#hasWaits) return ['ZCARD', key()]
        return ['ZRANGESTORE', key(), key(), '0', random.pick(['-1', '0'])]
      case 9:
        return [random.pick(['ZUNIONSTORE', 'ZINTERSTORE', 'ZDIFFSTORE']), key(), '2', key(), key()]
      case 10:
        return ['ZREMRANGEBYSCORE', key(), '-inf', random.pick(['1', '2'])]
      case 11:
        return ['ZREMRANGEBYRANK', key(), '0', '0']
      default:
        return ['ZMPOP', '1', key(), random.pick(['MIN', 'MAX'])]
    }
  }

  #set(): string[] {
    const random = this.#random
    const key = (): string => this.#any(SETS)
    const member = (): string => String(random.below(8))
    switch (random.below(9)) {
      case 0:
      case 1:
      case 2:
        return ['SADD', key(), ...this.#many(member)]
      case 3:
        return ['SREM', key(), ...this.#many(member)]
      case 4:
        return ['SMOVE', key(), key(), member()]
      case 5:
        return [random.pick(['SINTERSTORE', 'SUNIONSTORE', 'SDIFFSTORE']), key(), ...this.#many(key)]
      case 6:
        return ['SPOP', key(), random.pick(['0', '100'])]
      case 7:
        return ['SMEMBERS', key()]
      default:
        return ['SINTERCARD', '2', key(), key()]
    }
  }

  #hash(): string[] {
    const random = this.#random
    const key = (): string => this.#any(HASHES)
    const field = (): string => random.pick(['f', 'g', 'n'])
    switch (random.below(9)) {
      case 0:
      case 1:
      case 2:
        return [random.pick(['HSET', 'HMSET']), key(), ...this.#many(() => [field(), this.#value()]).flat()]
      case 3:
        return ['HSETNX', key(), field(), this.#value()]
      case 4:
      case 5:
        return ['HDEL', key(), ...this.#many(field)]
      case 6:
        return ['HINCRBY', key(), 'n', random.pick(['1', '0', '-5'])]
      case 7:
        return ['HINCRBYFLOAT', key(), 'n', '0.5']
      default:
        return ['HGETALL', key()]
    }
  }

  /** One of these keys, mostly; else any. */
  #any(keys: readonly string[]): string {
    return this.#random.chance(0.94) ? this.#random.pick(keys) : this.#random.pick(ALL)
  }

  #value(): string {
    return this.#random.pick(['a', 'b', '1', '22', '', 'text'])
  }

  #end(): string {
    return this.#random.pick(['LEFT', 'RIGHT'])
  }

  #many<T>(one: () => T): T[] {
    return Array.from({ length: this.#random.pick([1, 1, 2, 3]) }, one)
  }
}
