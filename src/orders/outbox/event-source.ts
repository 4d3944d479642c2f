// Where the publisher gets its events: the log, as the follower reads it. Everything here is synchronous, because both live in a thread of
// their own, where a read of the disk holds up nobody else.
//
// What stays true: nothing beyond what is durable is ever given; the events of a part come in the order of their pseq, without a gap.

import type { OutboxEvent } from '../../engine/events/event.ts'

export interface EventSource {
  /** Set by who reads: called when there is something that a reader has not had, e.g. because the durable LSN went on. */
  onMore: () => void
  /** A reader whose first event is the first of the record `lsn`, or of the oldest record that the log has if that is later. */
  reader(lsn: number): EventReader
  /** An LSN such that a reader from there comes to event `pseq` of `part`, as long as the log has it. May be earlier than needed. */
  locate(part: number, pseq: number): number
  /** The pseq of the first event of this part that the log still has; last + 1 if it has none. */
  oldest(part: number): number
}

export interface EventReader {
  /** The next events, at most `max`; none: there is nothing more for now. Throws in words if the log cannot be read; may be tried again. */
  next(max: number): readonly OutboxEvent[]
  /** Another reader from this LSN gives all that this one has not given (and, of a record with several events, maybe some that it has). */
  readonly lsn: number
  close(): void
}

/** From where the publisher goes on after a restart. May be old: then more is published again. Must not be ahead of the truth. */
export interface PublisherCheckpoint {
  /** A reader from here comes to every event that the broker has not acked. */
  readonly lsn: number
  /** By part: the broker has acked everything up to this pseq. */
  readonly acked: readonly number[]
  /** By part: a consumer has said that everything up to this pseq is stored; 0: nothing said. */
  readonly stored: readonly number[]
}
