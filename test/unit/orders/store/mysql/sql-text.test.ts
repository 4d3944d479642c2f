import { describe, expect, it } from 'vitest'
import { OrderIds } from '../../../../../src/stock/order-ids.ts'
import { madeNumber } from '../../../../../src/orders/store/mysql/made-number.ts'
import { literal, tuple } from '../../../../../src/orders/store/mysql/sql-text.ts'

describe('a value as SQL text', () => {
  it('cannot end its string, whatever it holds', () => {
    expect(literal("x' OR 1=1 --")).toBe(`X'${Buffer.from("x' OR 1=1 --").toString('hex')}'`)
    expect(literal('\\')).toBe("X'5c'")
    expect(literal(Buffer.from("'"))).toBe("X'27'")
    expect(tuple([1, null, 'RESERVED', -7n, Buffer.alloc(0), ''])).toBe("(1,NULL,'RESERVED',-7,X'','')")
  })

  it('that is no number is refused before it is sent', () => {
    for (const odd of [Number.NaN, Infinity]) expect(() => literal(odd)).toThrow(RangeError)
  })
})

describe('the number of an order id', () => {
  it('that a node made ascends as the ids do', () => {
    const ids = new OrderIds({ nodeNumber: 3, salt: 77 })
    const bytes = Buffer.alloc(17)
    let before = 0n
    for (const now of [1_792_000_000_000, 1_792_000_000_000, 1_792_000_000_001, 1_800_000_000_000]) {
      ids.make(bytes, 0, now)
      const number = madeNumber(`{u42}${bytes.toString('latin1')}`)
      expect(number).toBeGreaterThan(before)
      expect((number ?? 0n) >> 15n).toBe(BigInt(now))
      before = number ?? 0n
    }
  })

  it('that a shop made is none', () => {
    for (const id of ['free', '{u42}01JA', '{u42}', `{u42}${'u'.repeat(17)}`, `{u42}${'Z'.repeat(18)}`]) expect(madeNumber(id)).toBeNull()
  })
})
