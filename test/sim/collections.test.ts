// Hashes, lists, sets and sorted sets through crashes: a log cut behind any record gives the state that was there when that record was
// written, digest for digest, and the seal that is kept up to date is the seal of it; also when the first part of the log is a snapshot.
//
// STOCKD_STORIES sets how many stories (default 40), STOCKD_SEED the first. Mistakes that somebody could make are planted, and found.

import { expect, it } from 'vitest'
import { millis } from '../../src/base/brand.ts'
import { Random } from '../../src/base/random.ts'
import { Engine } from '../../src/engine/engine.ts'
import { EngineStage, snapshotOf } from '../model/engine-stage.ts'
import type { Fact } from '../model/engine-stage.ts'
import { Request } from '../../src/resp/request.ts'
import { COLLECTION_REFUSALS, collectionCommand } from './collection-commands.ts'

const STORIES = Number(process.env.STOCKD_STORIES ?? 40)
const FIRST = Number(process.env.STOCKD_SEED ?? 1)
const COMMANDS = 300
const CUTS = 6
const START = 1_700_000_000_000

type PlantedBug = 'a record is forgotten' | 'an element is forgotten' | 'two records change places'

/** A moment of the living state: how many records there were, and its digests. */
interface Moment {
  readonly records: number
  readonly digest: string
  readonly seal: string
}

interface Told {
  readonly cuts: number
  readonly encodings: ReadonlySet<string>
  readonly refused: number
}

class Different extends Error {}

function story(seed: number, bug: PlantedBug | null): Told {
  const random = new Random(seed)
  const stage = new EngineStage({})
  const moments: Moment[] = []
  const encodings = new Set<string>()
  let refused = 0
  let now = START
  for (let n = 0; n < COMMANDS; n++) {
    const args = collectionCommand(random).map(String)
    const reply = stage.answer(args, now, 3, random.chance(0.9) ? 0 : 1)
    if (reply.startsWith('-')) {
      refused++
      if (!COLLECTION_REFUSALS.test(reply.slice(1))) throw new Error(`seed ${seed}: ${args.slice(0, 9).join(' ')} -> ${reply}`)
    } else if (args[0] === 'OBJECT') encodings.add(reply)
    if (random.chance(0.2)) stage.advance((now += random.pick([1, 25, 2000, 90_000])))
    // What compaction does: from here on the log is the state, written as records, and what comes behind it.
    if (random.chance(0.01)) {
      stage.restart(now, 'snapshot')
      moments.length = 0
    }
    moments.push({ records: stage.log().length, digest: stage.engine.digest(), seal: stage.engine.sealDigest() })
  }
  const log = planted(stage.log(), bug, random)
  for (let i = 0; i < CUTS; i++) {
    const { records, digest, seal } = i === 0 ? moments.at(-1)! : random.pick(moments)
    const engine = replayed(log.slice(0, records), seed)
    if (engine.digest() !== digest) throw new Different(`seed ${seed}: another digest from the first ${records} records of ${log.length}`)
    if (engine.sealDigest() !== seal) throw new Different(`seed ${seed}: another seal from the first ${records} records of ${log.length}`)
    // Between two records of a command a log may end, too: that must be a state like any other, and what it writes gives it again.
    const torn = replayed(log.slice(0, random.below(log.length + 1)), seed)
    if (replayed(snapshotOf(torn), 3).digest() !== torn.digest())
      throw new Different(`seed ${seed}: a torn log's state is written as another`)
  }
  return { cuts: CUTS * 2, encodings, refused }
}

function replayed(log: readonly Fact[], seed: number): Engine {
  const engine = new Engine({ seed: seed + 1000 })
  const request = new Request()
  engine.now = millis(START)
  for (const fact of log) engine.replay(request.set(fact.map((word) => Buffer.from(word, 'latin1'))))
  return engine
}

/** The log with a mistake in its last third. */
function planted(log: readonly Fact[], bug: PlantedBug | null, random: Random): Fact[] {
  const facts = [...log]
  if (bug === null) return facts
  const from = Math.floor((facts.length * 2) / 3)
  const at = facts.findIndex((fact, i) => i >= from && fact.length > 3 && /^(HSET|SADD|RPUSH|ZADD|HDEL|SREM)$/.test(fact[0]))
  if (at === -1) return facts
  if (bug === 'a record is forgotten') facts.splice(at, 1)
  else if (bug === 'an element is forgotten') facts[at] = facts[at].slice(0, /^[HZ](SET|ADD)$/.test(facts[at][0]) ? -2 : -1)
  else {
    const other = Math.min(facts.length - 1, at + random.between(1, 3))
    ;[facts[at], facts[other]] = [facts[other], facts[at]]
  }
  return facts
}

it('gives back every collection from every cut of the log', { timeout: 300_000 }, () => {
  const encodings = new Set<string>()
  let cuts = 0
  let refused = 0
  for (let seed = FIRST; seed < FIRST + STORIES; seed++) {
    const told = story(seed, null)
    cuts += told.cuts
    refused += told.refused
    for (const encoding of told.encodings) encodings.add(encoding.split('\r\n')[1] ?? encoding)
  }
  console.log(
    `${STORIES} stories from seed ${FIRST}: ${STORIES * COMMANDS} commands, ${refused} refused, ${cuts} cuts; ${[...encodings].toSorted().join(' ')}`,
  )
  if (STORIES < 20) return
  for (const form of ['hashtable', 'intset', 'listpack', 'quicklist', 'skiplist']) expect(encodings).toContain(form)
})

it.each(['a record is forgotten', 'an element is forgotten', 'two records change places'] as const)('finds a planted bug: %s', (bug) => {
  const found: number[] = []
  for (let seed = 1; seed <= 20 && found.length === 0; seed++) {
    try {
      story(seed, bug)
    } catch (error) {
      if (!(error instanceof Different) && !/contradicts|LOG_SEMANTIC/.test(String(error))) throw error
      found.push(seed)
    }
  }
  expect(found).toHaveLength(1)
})
