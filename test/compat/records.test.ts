// What stockd logs are effects that redis-server understands: every write command of keys, with arguments made from its spec, leaves records
// that, sent to a redis-server as the commands they are, give it the same contents. Nothing in them is relative to a time or up to chance.
//
// SEED replays a run, REQUESTS makes it longer.

import { describe, expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { RecordedNode } from '../fuzz/recorded-node.ts'
import type { Peer } from '../fuzz/recorded-node.ts'
import { BEGINNING, KEYS, RequestMaker } from '../fuzz/request-maker.ts'
import { ErrorReply, decodeReply, encodeRequest } from '../support/raw-client.ts'
import type { Argument, RawClient } from '../support/raw-client.ts'
import { HAS_REDIS, startRedis } from '../support/server.ts'
import { contentsApart, contentsOf } from './contents.ts'
import type { Contents } from './contents.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
const REQUESTS = Number(process.env.REQUESTS ?? 12_000)
const DAY_MS = 24 * 3600_000

/** Nothing that has another effect later, elsewhere or by chance. */
const RELATIVE =
  /^(P?EXPIRE|P?SETEX|GETEX|GETSET|GETDEL|SPOP|B[LRZ].*|INCR.*|DECR.*|HINCR.*|ZINCR.*|[LRZ]M?POPM.*|LMPOP|ZPOP.*|CL\..*|.*STORE)$/

/** Asks a node without a network. */
class Inner {
  readonly #recorded: RecordedNode
  readonly #peer: Peer

  constructor(recorded: RecordedNode) {
    this.#recorded = recorded
    this.#peer = recorded.connect()
  }

  async command(...args: readonly Argument[]): Promise<Buffer> {
    this.#peer.transport.sent = []
    this.#recorded.sendBytes(this.#peer.session, encodeRequest(args))
    return Buffer.concat(this.#peer.transport.sent)
  }

  async call(...args: readonly Argument[]): ReturnType<RawClient['call']> {
    return decodeReply(await this.command(...args))
  }
}

/** redis-server forgets the sign of a score of zero while a sorted set is small. */
function unsigned(contents: Contents): Contents {
  for (const [name, { value, at }] of contents) contents.set(name, { value: value.replaceAll('"-0"', '"0"'), at })
  return contents
}

describe.skipIf(!HAS_REDIS)('the records of keys', () => {
  it(`are commands that give redis-server the same contents (SEED=${SEED})`, { timeout: 600_000 }, async () => {
    await using redis = await startRedis()
    await using client = await redis.connect()
    const recorded = await RecordedNode.start()
    // A day ahead: no key may go in redis-server by itself before its record has come.
    recorded.env.now = Date.now() + DAY_MS
    recorded.pass(0)
    const random = new Random(SEED)
    const specs = recorded.node.commands.specs.filter(
      ({ flags, group }) => flags.includes('write') && KEYS[group === 'generic' ? 'string' : group] !== undefined && group !== 'stock',
    )
    const maker = new RequestMaker(specs, random)
    const inner = new Inner(recorded)
    const peers = Array.from({ length: 6 }, () => recorded.connect())
    const recordedBy = new Set<string>()
    const names = new Set<string>()
    let records = 0
    recorded.takeRecords()
    const isMissing = (): boolean => specs.some(({ name }) => !recordedBy.has(name))
    let n = 0
    // Until each has had something to write.
    for (; n < REQUESTS || (isMissing() && n < 8 * REQUESTS); n++) {
      if (random.chance(0.05)) recorded.pass(random.pick([1, 900, 31_000]))
      let peer = peers.find(({ session }) => session.parked === null)
      if (peer === undefined) {
        // All of them wait: others come.
        for (const gone of peers.splice(0)) recorded.disconnect(gone)
        peers.push(...Array.from({ length: 6 }, () => recorded.connect()))
        peer = peers[0]
      }
      const args = maker.next(n)
      // What empties everything comes seldom, and what there is to change comes back.
      if (/^(FLUSH|SWAPDB)/i.test(args[0]) && random.chance(0.9)) continue
      if (n % 100 === 0) for (const command of BEGINNING) recorded.send(peer, command)
      recorded.send(peer, args)
      if (peer.transport.state !== 'open') throw new Error(`closed by ${args.join(' ').slice(0, 300)}`)
      const written = Buffer.from(recorded.takeRecords(), 'latin1')
      if (written.length > 0) {
        recordedBy.add(args[0].toUpperCase())
        client.send(written)
        const commands = decodeRecords(written)
        for (const command of commands) {
          names.add(command[0])
          const reply = decodeReply(await client.read())
          const about = `SEED=${SEED}, ${n}: ${args.join(' ').slice(0, 200)}: the record ${command.join(' ').slice(0, 200)}`
          expect(reply instanceof ErrorReply ? reply.text : '', about).toBe('')
        }
        records += commands.length
      }
      if (n % 1000 === 999) {
        await using reader = await redis.connect()
        const apart = contentsApart(unsigned(await contentsOf(inner)), unsigned(await contentsOf(reader)))
        expect(apart, `SEED=${SEED}, behind request ${n}: ${args.join(' ').slice(0, 200)}`).toBe('')
        recorded.takeRecords()
      }
    }
    console.log(`SEED=${SEED}: ${n} requests, ${records} records: ${[...names].toSorted().join(' ')}`)
    expect([...names].filter((name) => RELATIVE.test(name))).toEqual([])
    expect(specs.map(({ name }) => name).filter((name) => !recordedBy.has(name))).toEqual([])
  })
})

function decodeRecords(bytes: Buffer): string[][] {
  const commands: string[][] = []
  for (let at = 0; at < bytes.length;) {
    const number = (): number => {
      const eol = bytes.indexOf(13, at)
      const n = Number(bytes.toString('latin1', at + 1, eol))
      at = eol + 2
      return n
    }
    commands.push(
      Array.from({ length: number() }, () => {
        const n = number()
        at += n + 2
        return bytes.toString('latin1', at - n - 2, at - 2)
      }),
    )
  }
  return commands
}
