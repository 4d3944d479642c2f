// What may be acked, and what makes a batch.

import { expect, it } from 'vitest'
import { Inbox, type Entry } from '../../../../src/orders/consumer/inbox.ts'
import type { Message } from '../../../../src/orders/broker/broker.ts'
import { messageOf, STREAM } from './rig.ts'

const NONE = new Set<string>()

function inboxOf(...messages: (Message | null)[]): Inbox {
  const inbox = new Inbox()
  for (const [i, message] of messages.entries()) {
    inbox.push({ part: 0, tag: i + 1, redelivered: false, message, raw: { content: Buffer.from('x'), properties: {} } }, i)
  }
  return inbox
}

const event = (pseq: number, more: Partial<Message> = {}): Message => messageOf(0, pseq, more)
const pseqs = (entries: readonly Entry[]): number[] => entries.map(({ message }) => message.pseq)

it('acks up to the first delivery that is not done', () => {
  const inbox = inboxOf(event(1), event(2), event(3))
  const [first, second, third] = inbox.pick(9, NONE)?.entries ?? []
  inbox.done(third)
  expect(inbox.settle()).toBeNull()
  inbox.done(first)
  expect(inbox.settle()).toBe(1)
  inbox.done(second)
  expect(inbox.settle()).toBe(3)
  expect([inbox.open, inbox.unacked, inbox.settle()]).toEqual([0, 0, null])
})

it('hands out events in the order of their numbers, each once', () => {
  const inbox = inboxOf(event(2), event(1), event(2), event(3))
  const pick = inbox.pick(9, NONE)
  expect(pseqs(pick?.entries ?? [])).toEqual([1, 2, 3])
  expect(pseqs(pick?.doubles ?? [])).toEqual([2])
})

it('leaves the second of two different events with one number for a batch of its own', () => {
  const inbox = inboxOf(event(1), event(2), event(2, { body: Buffer.from('{}') }), event(3))
  expect(pseqs(inbox.pick(9, NONE)?.entries ?? [])).toEqual([1, 2])
})

it('makes a batch of one stream, and goes past one that waits', () => {
  const other = 'n2_0000000a-1'
  const inbox = inboxOf(event(5), event(1, { stream: other }), event(6), event(2, { stream: other }))
  expect(pseqs(inbox.pick(9, NONE)?.entries ?? [])).toEqual([5, 6])
  const past = inbox.pick(9, new Set([STREAM]))
  expect([past?.stream, pseqs(past?.entries ?? [])]).toEqual([other, [1, 2]])
  expect(inbox.pick(9, new Set([STREAM, other]))).toBeNull()
  expect(inbox.first(new Set([STREAM]))?.at).toBe(1)
})

it('hands out no more than asked for', () => {
  expect(pseqs(inboxOf(event(1), event(2), event(3)).pick(2, NONE)?.entries ?? [])).toEqual([1, 2])
})

it('waits for the copy of a message that cannot be read', () => {
  const inbox = inboxOf(null, event(1))
  for (const entry of inbox.pick(9, NONE)?.entries ?? []) inbox.done(entry)
  expect(inbox.settle()).toBeNull()
  inbox.doneUnreadable(1)
  expect(inbox.settle()).toBe(2)
})
