// Random stories of shops become records, records become events, and the events alone tell what the engine knows.
//
// STOCK_STORIES=20000 plays more of them, STOCK_SEED=n begins at another seed.

import { Ajv2020 } from 'ajv/dist/2020.js'
import { expect, it } from 'vitest'
import { openLogNow } from '../../../../src/aof/recovery.ts'
import type { RecordSink } from '../../../../src/aof/record-parser.ts'
import { Random } from '../../../../src/base/random.ts'
import { EVENT_TYPES, type OutboxEvent } from '../../../../src/engine/events/event.ts'
import { EventDecoder } from '../../../../src/engine/events/event-decoder.ts'
import { EVENT_SCHEMA } from '../../../../src/orders/event-schema.ts'
import { Request } from '../../../../src/resp/request.ts'
import { STORY_START, tell } from '../../../model/duel.ts'
import { EngineStage, type Fact } from '../../../model/engine-stage.ts'
import { EventFold } from '../../../model/event-fold.ts'
import { SKUS } from '../../../model/random-shop.ts'
import { SimDisk } from '../../../sim/sim-disk.ts'
import { encodeRequest } from '../../../support/raw-client.ts'

const STORIES = Number(process.env['STOCK_STORIES'] ?? 120)
const FIRST_SEED = Number(process.env['STOCK_SEED'] ?? 1)
const STEPS = 200
const STREAM = 'n1_0a1b2c3d-1'

/** COMMANDS.md section 7: in this order, before anything else. */
const FIELDS = 'schema id type time order buyer shard version state deadline ref reason late items stock'.split(' ')

const words = (fact: Fact): Buffer[] => fact.map((word) => Buffer.from(word, 'latin1'))
const validate = new Ajv2020({ strict: true, allowUnionTypes: true, strictTypes: false, strictRequired: false }).compile(EVENT_SCHEMA)

/** A stage that marks its SKUs now and then, as a node does, and lets somebody look at it before each step. */
class MarkingStage extends EngineStage {
  look: (now: number) => void = () => {}
  #advances = 0
  #now = STORY_START
  #isLooking = false

  override advance(now: number): void {
    if (this.#isLooking) return
    this.#isLooking = true
    this.look(this.#now)
    this.#isLooking = false
    this.#now = now
    super.advance(now)
    if (++this.#advances % 13 === 0) this.mark(2)
  }
}

interface Story {
  readonly fold: EventFold
  readonly facts: readonly Fact[]
  readonly events: readonly OutboxEvent[]
}

/** Plays it; each event is checked as it comes, each order after its change, and all of it at the end. */
function play(seed: number, check: (event: OutboxEvent) => void = () => {}): Story {
  const decoder = new EventDecoder(STREAM)
  const fold = new EventFold()
  const request = new Request()
  const facts: Fact[] = []
  const events: OutboxEvent[] = []
  let stage!: MarkingStage
  const compare = (found: readonly string[]): void => {
    if (found.length > 0) throw new Error(found.join('\n'))
  }
  const { difference } = tell(
    seed,
    STEPS,
    (times) => {
      stage = new MarkingStage(times)
      stage.look = (now) => compare(fold.differences(stage, now, fold.takeTouched()))
      stage.onFact = (fact) => {
        const [name] = fact
        facts.push(fact)
        if (name === 'ORDER.TOMBSTONE') fold.tombstone(fact[1], Number(fact[2]), fact[3])
        if (name === 'ORDER.GRACED') fold.graced()
        const before = events.length
        decoder.decode(request.set(words(fact)), facts.length, (event) => {
          events.push(event)
          check(event)
          fold.add(event)
        })
        const expected = name === 'AUDIT.MARK' ? 16 : /^(ORDER|STOCK)\.(?!TOMBSTONE|GRACED|TRIMMED)/.test(name) ? 1 : 0
        if (events.length - before !== expected) throw new Error(`${name} made ${events.length - before} events`)
      }
      return stage
    },
    new Map(),
  )
  if (difference !== '') throw new Error(difference)
  const now = STORY_START
  compare([...fold.differences(stage, now), ...SKUS.flatMap((sku) => fold.differencesOfSku(stage, now, sku))])
  return { fold, facts, events }
}

it('tell the engine whole: every order, every balance, at every event', { timeout: 600_000 }, () => {
  const seen = new Map<string, number>()
  for (let seed = FIRST_SEED; seed < FIRST_SEED + STORIES; seed++) {
    try {
      for (const [type, count] of play(seed).fold.seenTypes) seen.set(type, (seen.get(type) ?? 0) + count)
    } catch (thrown) {
      expect.fail(`STOCK_SEED=${seed} STOCK_STORIES=1\n${String(thrown)}`)
    }
  }
  const rare = EVENT_TYPES.filter((type) => (seen.get(type) ?? 0) < STORIES / 10)
  expect(rare, 'types that hardly any story reached').toEqual([])
})

it('fit the published schema, and have their fields in the published order', { timeout: 60_000 }, () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + Math.min(STORIES, 25); seed++) {
    play(seed, ({ body }) => {
      const json: unknown = JSON.parse(body.toString('utf8'))
      if (!validate(json)) expect.fail(`STOCK_SEED=${seed}: ${JSON.stringify(validate.errors)}\n${body.toString('utf8')}`)
      expect(Object.keys(json as object).slice(0, FIELDS.length)).toEqual(FIELDS)
    })
  }
})

it('are the same when they are made from the log that was read back', () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + Math.min(STORIES, 5); seed++) {
    const { facts, events } = play(seed)
    const disk = new SimDisk(new Random(seed))
    const open = (sink: RecordSink): ReturnType<typeof openLogNow> =>
      openLogNow({
        disk,
        directory: '/data',
        holder: { pid: 1, host: 'test', bootId: '-', startedAt: '-', version: '-' },
        newNodeId: '00000000-0000-4000-8000-000000000001',
        now: STORY_START,
        sink,
        log: { minFreeBytes: 0 },
        events: {
          onAcked: () => {},
          onFailed: (_from, _to, message) => expect.fail(message),
          sealDigest: () => '-',
          onNote: () => {},
          onFatal: (error) => expect.fail(error.message),
        },
      })
    const { log } = open({ record: () => {} })
    for (const fact of facts) {
      const bytes = encodeRequest(words(fact))
      log.append(bytes, bytes.length, 1, STORY_START)
      log.write()
    }
    disk.crash('kill')
    disk.restart()
    const decoder = new EventDecoder(STREAM)
    const request = new Request()
    const again: OutboxEvent[] = []
    open({
      record(bytes, argc, start, end, lsn) {
        Object.assign(request, { bytes, argc, start, end })
        decoder.decode(request, lsn, (event) => again.push(event))
      },
    })
    expect(again.length, `STOCK_SEED=${seed}`).toBe(events.length)
    expect(again).toEqual(events)
  }
})
