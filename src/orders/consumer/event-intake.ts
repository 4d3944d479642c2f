// What came as a message becomes what goes into the store: the event as it is understood, or why it cannot be.

import { EventBodyError, parseEventBody } from '../event-body.ts'
import type { IncomingEvent } from '../store/store.ts'

/** Any payload has a place in the store: one that cannot be understood is a dead event, as it came. */
export function readEvent({
  pseq,
  oldest,
  body: payload,
}: {
  readonly pseq: number
  readonly oldest: number
  readonly body: Buffer
}): IncomingEvent {
  try {
    return { pseq, oldest, payload, body: parseEventBody(payload), dead: null }
  } catch (error) {
    if (!(error instanceof EventBodyError)) throw error
    return { pseq, oldest, payload, body: null, dead: { code: error.code, reason: error.message } }
  }
}
