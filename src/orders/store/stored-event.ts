// The payload of an event that is stored: read again when its order is rebuilt, or when it is dead and replayed.

import { EventBodyError, parseEventBody, type EventBody } from '../event-body.ts'
import { StoreError } from './store-error.ts'

/** @throws StoreError */
export function readStoredEvent(payload: Buffer): EventBody {
  try {
    return parseEventBody(payload)
  } catch (error) {
    if (!(error instanceof EventBodyError)) throw error
    throw new StoreError('poison', error.code, `a stored event cannot be read: ${error.message}`, { cause: error })
  }
}
