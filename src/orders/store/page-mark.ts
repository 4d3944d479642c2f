// Where a page of orders ended: `<created ms>.<order id in base64url>`, opaque to who asks for the next one. Orders are listed newest first,
// those of one millisecond by id, so an order that comes meanwhile moves no other to another page.

import { bytesOfName, nameOfBytes } from './name.ts'
import { StoreError } from './store-error.ts'
import type { StoredOrder } from './store.ts'

export interface PageMark {
  readonly createdAt: number
  readonly id: string
}

export function pageMarkOf({ createdAt, id }: Pick<StoredOrder, 'createdAt' | 'id'>): string {
  return `${createdAt}.${bytesOfName(id).toString('base64url')}`
}

export function readPageMark(text: string): PageMark {
  const found = /^(\d{1,16})\.([\w-]+)$/.exec(text)
  if (found === null) throw new StoreError('poison', 'page', 'this is not where a page ended: give what the page before said as next')
  return { createdAt: Number(found[1]), id: nameOfBytes(Buffer.from(found[2], 'base64url')) }
}
