// stock:events as sessions read it: reads that answer later, because the feed fetches from the log, and readers that wait for what comes.
//
// What stays true: a session finds the events of everything that it has written before. A reader that waits misses no entry, and an entry
// costs one look at the feed, however many wait for it. No reply has more than `replyBytesMax` of entries, and few such grow at a time.
//
// Unusual: whether something came while a look was under way is told by a generation, which the feed's news count up. Who has looked in
// this generation and found nothing may wait; who has looked in an older one looks again.

import { AssertionError } from '../../../base/assert.ts'
import type { Call } from '../../../engine/call.ts'
import { Reply } from '../../../resp/reply.ts'
import type { EventFeed, FeedEntry, FeedRange } from '../../event-feed.ts'
import type { Node } from '../../node.ts'
import { sessionOf } from '../../session.ts'
import type { Parked, Session } from '../../session.ts'
import { after, before, compare, FIRST_POSITION, LAST_POSITION, textOf } from './stream-id.ts'
import type { Position } from './stream-id.ts'

/** Entries that are fetched at once: some 150 KiB, which are written in a fraction of a millisecond. */
const PAGE_ENTRIES = 256
/** The same for who has had a page and goes on: it costs the feed less, for each entry, to fetch more at a time. */
const LONG_PAGE_ENTRIES = 2048
/** Bytes of entries in one reply, which is made in one turn: so much is some milliseconds. */
const REPLY_BYTES_MAX = 16 * 1024 * 1024
/** Of the output that a client may leave unread, one reply takes at most this share. */
const OUTPUT_SHARE = 0.5
/** First pages that are fetched at the same time. */
const READS_MAX = 16
/** Replies of more than one page that grow at the same time, REPLY_BYTES_MAX each. Small ones do not wait for them. */
const LONG_READS_MAX = 2
/** What waiting readers get in one turn: the others get theirs in the next ones. */
const WAKING_BYTES_PER_TURN = 1024 * 1024
/** A page's buffer up to this size is used again. */
const PAGE_KEPT_BYTES = 4 * 1024 * 1024

const STOPPING = 'ERR stock:events cannot be read any more: the node stops'

const NOT_IN_EXEC = 'ERR stock:events is fetched from the log, and EXEC does not wait: read it outside of MULTI'

const TYPE = Buffer.from('type')
const PART = Buffer.from('part')
const PSEQ = Buffer.from('pseq')
const EVENT = Buffer.from('event')
/** type, part, pseq and event, with their values. */
const FIELDS_AND_VALUES = 8

export type Write = (reply: Reply) => void

/** What XREAD asks for: so many entries from this place on; 'new': from what comes after the command. */
export interface ReadFrom {
  readonly from: Position | 'new'
  readonly count: number
}

/** Entries as they stand in a reply, without the array's head. */
export interface Entries {
  readonly count: number
  readonly bytes: readonly Uint8Array[]
  /** There are more, for which one reply has no room. */
  readonly isCut: boolean
}

/** A request that has asked the feed, and may wait for what comes. */
class EventRead implements Parked {
  readonly session: Session
  readonly isBlocking: boolean
  /** When it stops waiting; null: it does not wait. */
  readonly #until: number | null
  /** Where it waits for an entry; null: it does not wait, or not yet. */
  from: Position | null = null
  count = Infinity
  /** What it answers, once that is known. */
  write: Write | null = null
  readonly writeEntries: (found: readonly Entries[]) => Write

  constructor(session: Session, deadline: number | null, writeEntries: EventRead['writeEntries']) {
    this.session = session
    this.isBlocking = deadline !== null
    this.#until = deadline
    this.writeEntries = writeEntries
  }

  /** It does not give up before it knows that there is nothing yet: what is there is given, however long the log takes to say so. */
  get deadline(): number {
    return this.from === null ? Infinity : (this.#until ?? Infinity)
  }

  /** False if the client has gone, or has its answer already. */
  get isWanted(): boolean {
    return this.session.parked === this
  }

  /** What it waits for may never come, so it does not wait for a peer that sends no more. */
  get endsWithInput(): boolean {
    return this.from !== null
  }

  answer(reply: Reply): void {
    if (this.write !== null) this.write(reply)
    else if (this.isBlocking) reply.nilArray()
    else reply.error(STOPPING)
  }
}

/** Lets so many in at the same time, in the order in which they came. */
class Gate {
  #free: number
  readonly #waiting = new Set<() => void>()

  constructor(free: number) {
    this.#free = free
  }

  async enter(): Promise<void> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.add(resolve))
  }

  leave(): void {
    for (const next of this.#waiting) {
      this.#waiting.delete(next)
      return next()
    }
    this.#free++
  }
}

/**
 * A question that many ask at the same time: one is under way, and who comes meanwhile shares the next, because the answer must not be
 * older than the asking.
 */
class SharedQuestion<T> {
  readonly #ask: (feed: EventFeed) => Promise<T>
  #current: Promise<unknown> | null = null
  #next: Promise<T> | null = null

  constructor(ask: (feed: EventFeed) => Promise<T>) {
    this.#ask = ask
  }

  ask(feed: EventFeed): Promise<T> {
    if (this.#current === null) return this.#start(feed)
    this.#next ??= this.#current.then(() => this.#start(feed))
    return this.#next
  }

  #start(feed: EventFeed): Promise<T> {
    this.#next = null
    const answer = this.#ask(feed)
    const over = (): void => {
      if (this.#next === null) this.#current = null
    }
    this.#current = answer.then(over, over)
    return answer
  }
}

/** Some entries, written one behind the other. */
interface Page {
  readonly entries: readonly FeedEntry[]
  readonly bytes: Buffer
  /** Entry i is bytes[starts[i]..starts[i + 1]). */
  readonly starts: readonly number[]
}

export class EventStream {
  readonly #node: Node
  readonly #reads = new Gate(READS_MAX)
  readonly #longReads = new Gate(LONG_READS_MAX)
  readonly #summaries = new SharedQuestion((feed) => feed.summary())
  /** The first place at which there is nothing: behind the newest entry. */
  readonly #ends = new SharedQuestion((feed) => this.#findEnd(feed))
  #writer = new Reply()
  /** Counts the feed's news. */
  #generation = 0
  /** There is no entry from here on, as of this generation. */
  #quiet: { readonly from: Position; readonly generation: number } | null = null
  #isServing = false

  constructor(node: Node) {
    this.#node = node
    node.onEvents = () => {
      this.#generation++
      if (!this.#isServing) void this.#serve()
    }
  }

  /** Bytes of entries that one reply may have. */
  get replyBytesMax(): number {
    const { hardBytes } = this.#node.options.values['client-output-buffer-limit'].normal
    return hardBytes === 0 ? REPLY_BYTES_MAX : Math.min(REPLY_BYTES_MAX, hardBytes * OUTPUT_SHARE)
  }

  // What commands ask for ----------------------------------------------------------------------------------------------------------

  summary(call: Call, write: (summary: Awaited<ReturnType<EventFeed['summary']>>) => Write): void {
    this.#park(call, null, NOTHING_FOUND, async (_, feed) => write(await this.#summaries.ask(feed)))
  }

  range(call: Call, range: FeedRange, write: (found: Entries) => Write): void {
    this.#park(call, null, NOTHING_FOUND, async (read, feed) => write(await this.#collect(read, feed, range, this.replyBytesMax)))
  }

  /** The first `count` entries, and the summary that they belong to. */
  summaryAndFirst(call: Call, count: number, write: (summary: Awaited<ReturnType<EventFeed['summary']>>, first: Entries) => Write): void {
    this.#park(call, null, NOTHING_FOUND, async (read, feed) => {
      const summary = await this.#summaries.ask(feed)
      const { last } = summary
      if (last === null) return write(summary, NO_ENTRIES)
      const range = { from: FIRST_POSITION, to: last, count, isReverse: false }
      return write(summary, await this.#collect(read, feed, range, this.replyBytesMax))
    })
  }

  /**
   * Answers with the entries from each of these places on; if there are none at all, then, unless `blockMs` is null, with those that come
   * from the first place on, or with none when so much time has passed (0: for ever).
   * @param write gets the entries of all places that have some
   */
  read(call: Call, places: readonly ReadFrom[], blockMs: number | null, write: (found: readonly Entries[]) => Write): void {
    this.#park(call, blockMs === null ? null : deadlineOf(call, blockMs), write, (read, feed) => this.#look(read, feed, places))
  }

  /** XREAD of keys that do not exist: they never will. */
  waitInVain(call: Call, blockMs: number): void {
    this.#node.park(sessionOf(call), {
      deadline: deadlineOf(call, blockMs),
      isBlocking: true,
      endsWithInput: true,
      answer: (reply) => reply.nilArray(),
    })
  }

  // Reading ------------------------------------------------------------------------------------------------------------------------

  #park(
    call: Call,
    deadline: number | null,
    writeEntries: EventRead['writeEntries'],
    work: (read: EventRead, feed: EventFeed) => Promise<Write | null>,
  ): void {
    const session = sessionOf(call)
    if (session.mayNotWait) return call.reply.error(NOT_IN_EXEC)
    const read = new EventRead(session, deadline, writeEntries)
    const node = this.#node
    const { turn } = node
    node.park(session, read)
    // Not before this turn's records are in the log. Under `always` that may take longer; should they never be acked, nothing is missed.
    const hasOwnWrites = (): boolean => turn.log.acked >= session.lastLsn || turn.log.refusal() !== null
    turn.between(() => {
      if (!read.isWanted) return
      if (hasOwnWrites()) return void this.#run(read, work)
      node.park(session, {
        deadline: read.deadline,
        isBlocking: read.isBlocking,
        isReady: hasOwnWrites,
        answer: (reply, timedOut) => {
          if (timedOut) return read.answer(reply)
          node.park(session, read)
          void this.#run(read, work)
        },
      })
    })
  }

  async #run(read: EventRead, work: (read: EventRead, feed: EventFeed) => Promise<Write | null>): Promise<void> {
    const { feed, turn, log } = this.#node
    if (feed === null) return this.#finish(read, (reply) => reply.error(STOPPING))
    feed.progress(turn.log.acked, log?.durable ?? turn.log.acked)
    try {
      const write = await work(read, feed)
      if (write !== null) this.#finish(read, write)
    } catch (error) {
      this.#finish(read, failure(error))
    }
  }

  #finish(read: EventRead, write: Write): void {
    if (!read.isWanted || read.write !== null) return
    read.write = write
    this.#node.wake(read.session)
  }

  /** @returns null: it has found nothing, and waits. */
  async #look(read: EventRead, feed: EventFeed, places: readonly ReadFrom[]): Promise<Write | null> {
    const now = places.some(({ from }) => from === 'new') ? await this.#ends.ask(feed) : LAST_POSITION
    const ranges = places.map(({ from, count }) => ({ from: from === 'new' ? now : from, to: LAST_POSITION, count, isReverse: false }))
    for (;;) {
      const generation = this.#generation
      // Who was served a moment ago and comes back need not ask.
      if (!read.isBlocking || ranges.some(({ from }) => !this.#isKnownQuiet(from))) {
        const found: Entries[] = []
        let room = this.replyBytesMax
        for (const range of ranges) {
          if (room <= 0) break
          const entries = await this.#collect(read, feed, range, room)
          if (!read.isWanted) return null
          if (entries.count === 0) this.#learnQuiet(range.from, generation)
          else {
            found.push(entries)
            for (const bytes of entries.bytes) room -= bytes.length
          }
        }
        if (found.length > 0) return read.writeEntries(found)
      }
      if (!read.isBlocking || read.session.hasEnded) return (reply) => reply.nilArray()
      if (generation !== this.#generation) continue
      read.from = ranges[0].from
      read.count = ranges[0].count
      return null
    }
  }

  async #findEnd(feed: EventFeed): Promise<Position> {
    const generation = this.#generation
    // Whatever there was, nothing is behind where nothing was once but what has come since: a short way to look.
    const from = this.#quiet?.from ?? FIRST_POSITION
    const [newest] = await feed.range({ from, to: LAST_POSITION, count: 1, isReverse: true })
    const end = newest === undefined ? from : after(newest)
    this.#learnQuiet(end, generation)
    return end
  }

  async #collect(read: EventRead, feed: EventFeed, range: FeedRange, bytesMax: number): Promise<Entries> {
    let { from, to } = range
    const bytes: Uint8Array[] = []
    let count = 0
    let room = bytesMax
    let isLong = false
    await this.#reads.enter()
    try {
      while (read.isWanted && count < range.count) {
        const wanted = Math.min(isLong ? LONG_PAGE_ENTRIES : PAGE_ENTRIES, range.count - count)
        const entries = await feed.range({ from, to, count: wanted, isReverse: range.isReverse })
        const page = this.#write(entries)
        const fitting = entriesWithin(page, 0, entries.length, count === 0 ? Math.max(room, page.starts[1] ?? 0) : room)
        if (fitting > 0) bytes.push(page.bytes.subarray(0, page.starts[fitting]))
        count += fitting
        room -= page.starts[fitting]
        if (fitting < entries.length) return { count, bytes, isCut: true }
        if (entries.length < wanted) break
        const last = entries[entries.length - 1]
        if (range.isReverse) to = before(last)
        else from = after(last)
        if (!isLong && count < range.count) {
          // From its second page on it is a long one.
          isLong = true
          this.#reads.leave()
          await this.#longReads.enter()
        }
      }
      return { count, bytes, isCut: false }
    } finally {
      if (isLong) this.#longReads.leave()
      else this.#reads.leave()
    }
  }

  // Readers that wait --------------------------------------------------------------------------------------------------------------

  *#waiting(): Generator<EventRead & { from: Position }> {
    for (const session of this.#node.turn.parked) {
      const { parked } = session
      if (parked instanceof EventRead && parked.from !== null && parked.write === null) yield parked as EventRead & { from: Position }
    }
  }

  /** Gives what has come to who waits for it, until nothing has come meanwhile. */
  async #serve(): Promise<void> {
    this.#isServing = true
    for (let served = -1; served !== this.#generation;) {
      served = this.#generation
      let from: Position | null = null
      for (const read of this.#waiting()) if (from === null || compare(read.from, from) < 0) from = read.from
      const { feed } = this.#node
      // Nobody waits: who comes looks for himself.
      if (from === null || feed === null) break
      try {
        await this.#serveFrom(from, feed, served)
      } catch (error) {
        const write = failure(error)
        for (const read of [...this.#waiting()]) this.#finish(read, write)
      }
    }
    this.#isServing = false
  }

  async #serveFrom(start: Position, feed: EventFeed, generation: number): Promise<void> {
    let from = start
    let given = 0
    for (;;) {
      const entries = await feed.range({ from, to: LAST_POSITION, count: PAGE_ENTRIES, isReverse: false })
      const page = this.#write(entries)
      if (entries.length > 0) from = after(entries[entries.length - 1])
      if (entries.length < PAGE_ENTRIES) this.#learnQuiet(from, generation)
      for (const read of [...this.#waiting()]) {
        const first = firstFrom(entries, read.from)
        if (first === entries.length) continue
        const last = Math.min(entries.length, first + read.count)
        const count = Math.max(1, entriesWithin(page, first, last, this.replyBytesMax))
        const bytes = page.bytes.subarray(page.starts[first], page.starts[first + count])
        this.#finish(read, read.writeEntries([{ count, bytes: [bytes], isCut: false }]))
        given += bytes.length
        if (given < WAKING_BYTES_PER_TURN) continue
        given = 0
        await new Promise<void>((resolve) => this.#node.env.endOfTurn(resolve))
      }
      if (entries.length < PAGE_ENTRIES) return
    }
  }

  /** Nothing was found from here on, by who began to look in this generation. */
  #learnQuiet(from: Position, generation: number): void {
    const quiet = this.#quiet
    if (quiet !== null && (quiet.generation > generation || (quiet.generation === generation && compare(quiet.from, from) <= 0))) return
    this.#quiet = { from, generation }
  }

  #isKnownQuiet(from: Position): boolean {
    const quiet = this.#quiet
    return quiet !== null && quiet.generation === this.#generation && compare(from, quiet.from) >= 0
  }

  // Writing ------------------------------------------------------------------------------------------------------------------------

  #write(entries: readonly FeedEntry[]): Page {
    const writer = this.#writer
    const starts = [0]
    writer.length = 0
    for (const entry of entries) {
      writeEntry(writer, entry)
      starts.push(writer.length)
    }
    const bytes = Buffer.from(writer.buffer.subarray(0, writer.length))
    if (writer.buffer.length > PAGE_KEPT_BYTES) this.#writer = new Reply()
    return { entries, bytes, starts }
  }
}

function deadlineOf(call: Call, blockMs: number): number {
  return blockMs === 0 ? Infinity : call.now + blockMs
}

const NO_ENTRIES: Entries = { count: 0, bytes: [], isCut: false }
const NOTHING_FOUND = (): Write => (reply) => reply.nilArray()

export function writeEntry(reply: Reply, entry: FeedEntry): void {
  const { event } = entry
  reply.array(2)
  reply.latin1(textOf(entry))
  reply.array(FIELDS_AND_VALUES)
  reply.bulk(TYPE)
  reply.latin1(event.type)
  reply.bulk(PART)
  reply.integerBulk(event.part)
  reply.bulk(PSEQ)
  reply.integerBulk(event.pseq)
  reply.bulk(EVENT)
  reply.bulk(event.body)
}

export function writeEntries(reply: Reply, { count, bytes }: Entries): void {
  reply.array(count)
  for (const part of bytes) reply.raw(part)
}

/** How many of the entries first..last have room in so many bytes. */
function entriesWithin({ starts }: Page, first: number, last: number, bytesMax: number): number {
  let end = last
  while (end > first && starts[end] - starts[first] > bytesMax) end--
  return end - first
}

/** Index of the first entry at this place or behind it. */
function firstFrom(entries: readonly FeedEntry[], from: Position): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(entries[middle], from) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** The feed could not read the log. A bug is not such a failure. */
function failure(error: unknown): Write {
  if (error instanceof AssertionError) throw error
  const text = `ERR stock:events cannot be read now: ${error instanceof Error ? error.message : String(error)}`
  return (reply) => reply.error(text)
}
