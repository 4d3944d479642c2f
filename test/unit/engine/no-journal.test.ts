// `appendonly no`: an engine whose records nobody keeps answers the same, changes the same, and encodes nothing.

import { expect, it } from 'vitest'
import { millis } from '../../../src/base/brand.ts'
import { Call } from '../../../src/engine/call.ts'
import { Engine } from '../../../src/engine/engine.ts'
import { Journal, NoJournal } from '../../../src/engine/journal.ts'
import { Reply } from '../../../src/resp/reply.ts'
import { Request } from '../../../src/resp/request.ts'

const COMMANDS = [
  'SET a 1',
  'INCR a',
  'SET b x PX 50',
  'STOCK.CREATE sku 5 LIMIT 2',
  'STOCK.RESERVE {u}1 PX 20 ITEMS sku 2',
  'STOCK.RESERVE {u}2 ITEMS sku 1',
  'STOCK.CONFIRM {u}1 REF p',
  'APPEND a 7',
  'DEL nothing',
]

it('answers and counts as one whose records are kept', () => {
  const play = (journal: Journal): { replies: string; engine: Engine } => {
    const engine = new Engine({ seed: 3 }, journal)
    const reply = new Reply()
    const call = new Call(engine, new Request(), reply, { database: 0 })
    for (const [i, command] of COMMANDS.entries()) {
      engine.advance(millis(1_792_000_000_000 + i * 10))
      call.request.set(command.split(' '))
      engine.execute(call)
    }
    engine.advance(millis(1_792_000_100_000))
    return { replies: reply.buffer.toString('latin1', 0, reply.length), engine }
  }
  const kept = play(new Journal())
  const forgotten = play(new NoJournal())
  expect(forgotten.replies).toBe(kept.replies)
  expect(forgotten.engine.digest()).toBe(kept.engine.digest())
  // SELECT is a record of the log's, not a change.
  expect(kept.engine.journal.total - forgotten.engine.journal.total).toBe(1)
  expect(kept.engine.journal.length).toBeGreaterThan(0)
  expect(forgotten.engine.journal.length).toBe(0)
})
