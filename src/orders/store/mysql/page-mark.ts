// Where a page of orders ended, opaque to who asks for the next one.
//
//   newest first:                   <created ms>.<order id in base64url>
//   all orders, table by table:     <number of the table>.<order id in base64url>
//
// An order that comes meanwhile moves no other to another page.

import { StoreError } from '../store-error.ts'

export interface PageMark {
  readonly number: number
  readonly id: Buffer
}

export function markText({ number, id }: PageMark): string {
  return `${number}.${id.toString('base64url')}`
}

export function readMark(text: string): PageMark {
  const found = /^(\d{1,15})\.([\w-]+)$/.exec(text)
  if (found === null) throw new StoreError('poison', 'PAGE', 'this is not where a page ended: give what the page before said as next')
  return { number: Number(found[1]), id: Buffer.from(found[2], 'base64url') }
}
