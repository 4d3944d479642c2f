// The terms of a SKU as ten arguments of a record: hold maxhold limit maxqty safety start end price seller OPEN|PAUSED

import type { Request } from '../../resp/request.ts'
import type { SkuTerms } from '../../stock/sku.ts'
import type { Journal } from '../journal.ts'

export function writeTerms(journal: Journal, terms: SkuTerms): void {
  journal.integer(terms.holdSeconds)
  journal.integer(terms.maxHoldSeconds)
  journal.integer(terms.limit)
  journal.integer(terms.maxQuantity)
  journal.integer(terms.safety)
  journal.integer(terms.start)
  journal.integer(terms.end)
  journal.integer(terms.price)
  journal.bytes(Buffer.from(terms.seller, 'latin1'))
  journal.word(terms.paused ? 'PAUSED' : 'OPEN')
}

/** Reads them from argument `i` on; `integer` reads one argument and knows what to do if it is below the least. */
export function readTerms(record: Request, i: number, integer: (i: number, least: number) => number): SkuTerms {
  return {
    holdSeconds: integer(i, 1),
    maxHoldSeconds: integer(i + 1, 1),
    limit: integer(i + 2, 0),
    maxQuantity: integer(i + 3, 1),
    safety: integer(i + 4, 0),
    start: integer(i + 5, 0),
    end: integer(i + 6, 0),
    price: integer(i + 7, -1),
    seller: record.latin1(i + 8),
    paused: record.is(i + 9, 'PAUSED'),
  }
}
