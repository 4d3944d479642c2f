// Cursors of ORDERS survive a client that decodes every reply as UTF-8, whatever bytes the ids are made of.

import { expect, it } from 'vitest'
import { millis } from '../../../src/base/brand.ts'
import { Call } from '../../../src/engine/call.ts'
import { Engine } from '../../../src/engine/engine.ts'
import { Reply } from '../../../src/resp/reply.ts'
import { Request } from '../../../src/resp/request.ts'
import { decodeReply } from '../../support/raw-client.ts'
import type { Value } from '../../support/raw-client.ts'

it('pages through orders with binary ids by text alone', () => {
  const engine = new Engine()
  engine.advance(millis(1_792_000_000_000))
  const ask = (...args: (string | number | Buffer)[]): Value => {
    const reply = new Reply(1024)
    engine.execute(new Call(engine, new Request().set(args), reply, { database: 0 }))
    return decodeReply(reply.buffer.subarray(0, reply.length))
  }
  ask('STOCK.CREATE', 'sku', 100)
  const ids = Array.from({ length: 5 }, (_, i) => Buffer.from([...Buffer.from('{ann}'), 0xff, 0x80 + i, 0, 13, 10, 58]))
  for (const id of ids) ask('STOCK.RESERVE', id, 'ITEMS', 'sku', 1)

  const seen: string[] = []
  let cursor = '0'
  do {
    const [next, page] = ask('STOCK.ORDERS', 'ann', 'CURSOR', cursor, 'COUNT', 2) as [string, string[]]
    seen.push(...page)
    cursor = Buffer.from(next, 'latin1').toString('utf8')
    expect(cursor).toMatch(/^[0-9a-f:]+$/)
  } while (cursor !== '0')
  expect(seen).toEqual(ids.map((id) => id.toString('latin1')).reverse())
})
