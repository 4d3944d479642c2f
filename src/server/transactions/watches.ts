// The keys that sessions watch, and which of them have changed: WATCH promises that EXEC runs only if none has.
//
// A key has changed when a record that was written names it: a command that changes anything, or counts as if it did, has a record.
// Emptying a database changes the keys that there were; exchanging two, the keys that either had. A key that was due already when it was
// watched, and is then deleted because of it, has not changed. A SKU changes with every record that names it: its own, and its orders'.
// stock:events changes with every record that tells an event, at once and not only when it can be read.
//
// Unusual: nothing is told when a key changes. The turn's records are read again, from where this file has read to, behind every command;
// as long as anybody watches, and not at all otherwise.

import { RecordParser } from '../../aof/record-parser.ts'
import { parseInteger } from '../../base/decimal.ts'
import { STOCK_EVENTS } from '../../engine/commands/key-access.ts'
import type { Engine } from '../../engine/engine.ts'
import { Request } from '../../resp/request.ts'

/** Of the records of orders that name SKUs: the arguments before the items, without those that may be left out. */
const BEFORE_ITEMS: ReadonlyMap<string, number> = new Map([
  ['ORDER.RESERVED', 5],
  ['ORDER.CONFIRMED', 7],
  ['ORDER.RELEASED', 11],
  ['ORDER.EXPIRED', 5],
  ['ORDER.RETURNED', 12],
])
const ARGUMENTS_PER_ITEM = 4
/** They tell no event. */
const SILENT: readonly string[] = ['ORDER.TOMBSTONE', 'ORDER.GRACED', 'ORDER.TRIMMED']

/** What a key was when it was watched. While its watch holds, that is what it still is. */
type Was = 'present' | 'absent' | 'due'

/** What a watched key takes beside its name. */
const BYTES_PER_KEY = 200

/** What one session watches. */
export class Watch {
  readonly #watches: Watches
  readonly names = new Set<string>()
  /** Memory that it takes. */
  bytes = 0
  /** One of its keys has changed: it watches nothing more, and EXEC will not run. */
  isBroken = false

  constructor(watches: Watches) {
    this.#watches = watches
  }

  /** Watches nothing. */
  end(): void {
    this.#watches.forget(this)
    this.isBroken = false
  }
}

export class Watches {
  readonly #engine: Engine
  readonly #byName = new Map<string, Map<Watch, Was>>()
  /** Tells whether anybody watches. */
  readonly #onAny: (isAny: boolean) => void
  readonly #parser = new RecordParser()
  readonly #record = new Request()
  /** One key, made from its name. */
  readonly #named = new Request()
  readonly #sink = { record: this.#hear.bind(this) }
  /** The journal has been read so far, and what follows is about this database. */
  #at = 0
  #database = 0

  constructor(engine: Engine, onAny: (isAny: boolean) => void) {
    this.#engine = engine
    this.#onAny = onAny
  }

  get isAny(): boolean {
    return this.#byName.size > 0
  }

  /** Adds argument `i` to what is watched, a key of this database. */
  add(watch: Watch, request: Request, i: number, database: number): void {
    const name = nameOf(database, request, i)
    if (watch.names.has(name)) return
    if (this.#byName.size === 0) this.#begin()
    watch.names.add(name)
    watch.bytes += name.length + BYTES_PER_KEY
    let watching = this.#byName.get(name)
    if (watching === undefined) this.#byName.set(name, (watching = new Map()))
    watching.set(watch, this.#stateOf(database, request, i))
  }

  forget(watch: Watch): void {
    if (watch.names.size === 0) return
    for (const name of watch.names) {
      const watching = this.#byName.get(name)!
      watching.delete(watch)
      if (watching.size === 0) this.#byName.delete(name)
    }
    watch.names.clear()
    watch.bytes = 0
    if (this.#byName.size === 0) this.#end()
  }

  /** True if a key has changed, or its time has come although it is still there. Ends the watch. */
  isBroken(watch: Watch): boolean {
    if (this.isAny) this.catchUp()
    let { isBroken } = watch
    for (const name of watch.names) {
      if (isBroken) break
      isBroken = this.#byName.get(name)?.get(watch) === 'present' && this.#stateNow(name) === 'due'
    }
    watch.end()
    return isBroken
  }

  /** Reads the records that were written since. */
  catchUp(): void {
    const { journal } = this.#engine
    if (journal.length === this.#at) return
    this.#parser.parse(journal.buffer, this.#at, journal.length, 0, this.#sink)
    this.#at = journal.length
  }

  /** Reads the rest of the turn's records: the journal is emptied now. */
  drain(): void {
    this.catchUp()
    this.#at = 0
  }

  #begin(): void {
    const { journal } = this.#engine
    journal.keep(true)
    this.#at = journal.length
    this.#database = journal.database
    this.#onAny(true)
  }

  #end(): void {
    this.#engine.journal.keep(false)
    this.#onAny(false)
  }

  #hear(bytes: Uint8Array, argc: number, start: Request['start'], end: Request['end']): void {
    const record = this.#record
    record.bytes = bytes
    record.argc = argc
    record.start = start
    record.end = end
    const name = record.latin1(0)
    switch (name) {
      case 'SELECT':
        this.#database = numberAt(record, 1)
        return
      case 'DEL':
        for (let i = 1; i < argc; i++) this.#deleted(record, i)
        return
      case 'MSET':
        for (let i = 1; i < argc; i += 2) this.#changed(this.#database, record, i)
        return
      case 'RENAME':
      case 'LMOVE':
        this.#changed(this.#database, record, 1)
        this.#changed(this.#database, record, 2)
        return
      case 'COPY':
        this.#changed(record.is(3, 'DB') ? numberAt(record, 4) : this.#database, record, 2)
        return
      case 'MOVE':
        this.#changed(this.#database, record, 1)
        this.#changed(numberAt(record, 2), record, 1)
        return
      case 'FLUSHDB':
        this.#emptied(`${this.#database} `)
        return
      case 'FLUSHALL':
        this.#emptied('')
        return
      case 'SWAPDB':
        this.#swapped(numberAt(record, 1), numberAt(record, 2))
        return
      default:
        if (/^(?:ORDER|STOCK|AUDIT)\./.test(name)) this.#stock(name, record)
        else this.#changed(this.#database, record, 1)
    }
  }

  #stock(name: string, record: Request): void {
    if (name.startsWith('STOCK.')) this.#changed(0, record, 1)
    const before = BEFORE_ITEMS.get(name)
    if (before !== undefined) {
      const first = before + ((record.argc - before) % ARGUMENTS_PER_ITEM)
      for (let i = first; i < record.argc; i += ARGUMENTS_PER_ITEM) this.#changed(0, record, i)
    }
    if (!SILENT.includes(name)) this.#break(this.#byName.get(EVENTS))
  }

  #changed(database: number, record: Request, i: number): void {
    this.#break(this.#byName.get(nameOf(database, record, i)))
  }

  #deleted(record: Request, i: number): void {
    const watching = this.#byName.get(nameOf(this.#database, record, i))
    for (const [watch, was] of watching ?? []) {
      if (was === 'due') watching!.set(watch, 'absent')
      else this.#breakOne(watch)
    }
  }

  #emptied(prefix: string): void {
    for (const [name, watching] of this.#byName) {
      if (!name.startsWith(prefix)) continue
      for (const [watch, was] of watching) {
        if (was === 'present') this.#breakOne(watch)
        else watching.set(watch, 'absent')
      }
    }
  }

  #swapped(a: number, b: number): void {
    for (const [name, watching] of this.#byName) {
      if (!name.startsWith(`${a} `) && !name.startsWith(`${b} `)) continue
      const now = this.#stateNow(name)
      for (const [watch, was] of watching) {
        if (was === 'present' || now === 'present') this.#breakOne(watch)
        else watching.set(watch, now)
      }
    }
  }

  #break(watching: ReadonlyMap<Watch, Was> | undefined): void {
    if (watching === undefined) return
    for (const watch of watching.keys()) this.#breakOne(watch)
  }

  #breakOne(watch: Watch): void {
    this.forget(watch)
    watch.isBroken = true
  }

  #stateNow(name: string): Was {
    const space = name.indexOf(' ')
    this.#named.set([Buffer.from(name.slice(space + 1), 'latin1')])
    return this.#stateOf(Number(name.slice(0, space)), this.#named, 0)
  }

  #stateOf(number: number, { bytes, start, end }: Request, i: number): Was {
    const database = this.#engine.keyspace.databases[number]
    const ref = database.findAny(bytes, start[i], end[i], database.hash(bytes, start[i], end[i]))
    if (ref === 0) return 'absent'
    return database.isDue(ref) ? 'due' : 'present'
  }
}

const EVENTS = `0 ${Buffer.from(STOCK_EVENTS).toString('latin1')}`

/** Keys by their database and their bytes. */
function nameOf(database: number, request: Request, i: number): string {
  return `${database} ${request.latin1(i)}`
}

function numberAt(record: Request, i: number): number {
  return parseInteger(record.bytes, record.start[i], record.end[i])
}
