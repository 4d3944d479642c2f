// What the engine announces (engine/notices.ts), as messages on channels:
//
//   __keyspace@<db>__:<key>     the event     if notify-keyspace-events has K, of the classes that it names
//   __keyevent@<db>__:<event>   the key       if it has E
//   __stock__:soldout           the SKU, a blank, the version of its numbers; always
//   __stock__:available         the same
//
// A message tells of what has just been done and stands in the journal; it leaves when that has been written (Turn.push).

import { copyBytes } from '../base/bytes.ts'
import type { Engine } from '../engine/engine.ts'
import { BY_EVENT, BY_KEY } from '../engine/notices.ts'
import type { Channels } from './channels.ts'

const SALE_CHANNELS = { soldout: Buffer.from('__stock__:soldout'), available: Buffer.from('__stock__:available') } as const

/** An event as a message, and its channel in each database. */
interface EventNames {
  readonly message: Buffer
  readonly channels: readonly Buffer[]
}

export class Announcer {
  readonly #engine: Engine
  readonly #channels: Channels
  readonly #keyPrefixes: readonly Buffer[]
  /** There are a few dozens of them. */
  readonly #events = new Map<string, EventNames>()

  constructor(engine: Engine, channels: Channels) {
    this.#engine = engine
    this.#channels = channels
    this.#keyPrefixes = engine.keyspace.databases.map((_, database) => Buffer.from(`__keyspace@${database}__:`))
    engine.notices.onSale = (event, sku, version) => {
      if (this.#isHeard) channels.publish(SALE_CHANNELS[event], Buffer.concat([sku, Buffer.from(` ${version}`)]))
    }
  }

  /** From now on these classes are told, on these channels: the value of notify-keyspace-events. */
  set classes(classes: number) {
    const isByKey = (classes & BY_KEY) !== 0
    const isByEvent = (classes & BY_EVENT) !== 0
    this.#engine.notices.listen(isByKey || isByEvent ? classes : 0, (event, database, bytes, start, end) => {
      if (!this.#isHeard) return
      const names = this.#namesOf(event)
      if (isByKey) this.#channels.publish(this.#keyChannel(database, bytes, start, end), names.message)
      if (isByEvent) this.#channels.publish(names.channels[database], bytes.subarray(start, end))
    })
  }

  get #isHeard(): boolean {
    return this.#channels.size('channels') > 0 || this.#channels.size('patterns') > 0
  }

  #keyChannel(database: number, bytes: Uint8Array, start: number, end: number): Buffer {
    const prefix = this.#keyPrefixes[database]
    const channel = Buffer.allocUnsafe(prefix.length + end - start)
    prefix.copy(channel)
    copyBytes(bytes, start, end, channel, prefix.length)
    return channel
  }

  #namesOf(event: string): EventNames {
    let names = this.#events.get(event)
    if (names === undefined) {
      names = { message: Buffer.from(event), channels: this.#keyPrefixes.map((_, n) => Buffer.from(`__keyevent@${n}__:${event}`)) }
      this.#events.set(event, names)
    }
    return names
  }
}
