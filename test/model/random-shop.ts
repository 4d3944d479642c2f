// What shops, buyers, operators and the clock do to a small stock, at random from a seed, weighted so that the deep places are reached:
// payments after the hold died, parts of parts, names used again, instants at a deadline's edge, restarts in between.
//
// The model's state only helps to choose; a step that was chosen is plain data and means the same in every run.

import type { Random } from '../../src/base/random.ts'
import { buyerOf, type StockModel } from './stock-model.ts'

export type Step =
  | { readonly kind: 'do'; readonly args: readonly string[]; readonly protocol: 2 | 3 }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'restart'; readonly ms: number; readonly from: 'log' | 'snapshot' }
  | { readonly kind: 'full'; readonly what: 'memory' | 'outbox'; readonly isFull: boolean }

/** Short lives, so that a story of minutes sees the end of everything. */
export const SHOP_TIMES = { orderRetentionMs: 10_000, returnWindowMs: 30_000, restartGraceMs: 3_000 }

export const SKUS = ['cup', 'pen', '__proto__'] as const
const STRANGERS = ['nosuch', 'note'] as const
export const BUYERS = ['ann', 'bob', '\xff\r\n'] as const
const ORDERS = [
  '{ann}1',
  '{ann}2',
  'x{ann}3',
  '{ann}4',
  '{bob}1',
  '{bob}2',
  '{bob}3',
  '{\xff\r\n}1',
  '{\xff\r\n}2',
  '__proto__',
  '{}y',
] as const
const REFS = ['p1', 'p2', 'p3', 'p\0'] as const
const OPERATIONS = ['r1', 'r2', 'r3', '__proto__'] as const

type KnownOrder = ReturnType<StockModel['orders']['get']> & {}
type Item = KnownOrder['items'][number]

export class RandomShop {
  readonly #random: Random
  readonly #model: StockModel
  #operation = 0
  /** The last commands, for repetitions. */
  readonly #recent: string[][] = [['SET', 'note', 'x']]

  constructor(random: Random, model: StockModel) {
    this.#random = random
    this.#model = model
  }

  next(): Step {
    const roll = this.#random.below(1000)
    if (roll < 130) return { kind: 'wait', ms: this.#wait() }
    if (roll < 139) return { kind: 'restart', ms: this.#random.pick([0, 1, 900, 7000]), from: this.#random.pick(['log', 'snapshot']) }
    if (roll < 145 || this.#model.outOfMemory || this.#model.backlogFull) {
      const what = this.#model.outOfMemory
        ? 'memory'
        : this.#model.backlogFull
          ? 'outbox'
          : this.#random.pick(['memory', 'outbox'] as const)
      const isFull = !this.#model.outOfMemory && !this.#model.backlogFull
      if (isFull || this.#random.chance(0.3)) return { kind: 'full', what, isFull }
    }
    // Whoever got no answer asks again, perhaps much later.
    const args = this.#recent.length > 0 && this.#random.chance(0.1) ? this.#random.pick(this.#recent) : this.#command()
    this.#recent.push(args)
    if (this.#recent.length > 12) this.#recent.shift()
    const protocol = this.#random.pick([2, 3] as const)
    if (args[0].startsWith('STOCK.') && this.#random.chance(0.02))
      return { kind: 'do', args: ['FCALL', args[0], '1', ...args.slice(1)], protocol }
    return { kind: 'do', args, protocol }
  }

  /** Milliseconds, most of them to just before, at, or just after something. */
  #wait(): number {
    const model = this.#model
    const edges: number[] = []
    for (const order of model.orders.values()) {
      if (order.state === 'RESERVED') edges.push(order.deadline, order.deadline)
      else if (this.#random.chance(0.15)) {
        edges.push(order.at + (order.state === 'CONFIRMED' ? SHOP_TIMES.returnWindowMs : SHOP_TIMES.orderRetentionMs))
      }
    }
    for (const { terms } of model.skus.values()) edges.push(terms.start, terms.end)
    const ahead = edges.filter((edge) => edge > model.now)
    if (ahead.length > 0 && this.#random.chance(0.7)) return Math.max(0, this.#random.pick(ahead) - model.now + this.#random.between(-1, 1))
    return this.#random.pick([0, 1, 10, 500, 1000, 3000])
  }

  #command(): string[] {
    const roll = this.#random.below(1000)
    if (this.#model.skus.size < 3 && this.#random.chance(0.4)) return this.#create()
    if (roll < 270) return this.#reserve()
    if (roll < 500) return this.#confirm()
    if (roll < 620) return this.#release()
    if (roll < 680) return this.#extend()
    if (roll < 810) return this.#return()
    if (roll < 830) return this.#create()
    if (roll < 870) return this.#alter()
    if (roll < 930) return this.#adjust()
    if (roll < 945) return ['STOCK.DROP', this.#sku(), ...this.#maybe(0.35, 'FORCE')]
    if (roll < 955)
      return this.#random.pick([
        ['SET', this.#name(), 'x'],
        ['SET', 'note', 'x'],
        ['DEL', this.#name()],
        ['TYPE', this.#name()],
      ])
    if (roll < 965) return ['STOCK.GET', this.#name()]
    if (roll < 975) return ['STOCK.MGET', this.#name(), this.#name()]
    if (roll < 985) return ['STOCK.HOLDS', this.#sku(), 'COUNT', '1000']
    if (roll < 995) return ['STOCK.ORDERS', this.#random.pick(BUYERS), 'COUNT', '1000', ...this.#maybe(0.5, 'STATE', this.#state())]
    return ['STOCK.ORDER', this.#id()]
  }

  #reserve(): string[] {
    const rival = this.#random.chance(0.15) ? this.#known((order) => order.state === 'EXPIRED') : undefined
    if (rival !== undefined) return this.#rivalOf(rival)
    const known = this.#random.chance(0.2) ? this.#known(() => true) : undefined
    const id = known?.id ?? (this.#random.chance(0.05) ? `{${this.#random.pick(BUYERS)}}*` : this.#freeId())
    const same = known !== undefined && !known.tombstone && this.#random.chance(0.8)
    const isPaid = same && this.#random.chance(0.9) ? known.paid : this.#random.chance(0.2)
    const items = same ? known.items.flatMap((item) => this.#split(item.sku.name, item.quantity)) : this.#anyItems()
    const hold = isPaid ? [] : this.#maybe(0.4, ...this.#duration())
    return [
      'STOCK.RESERVE',
      id,
      ...this.#shuffled([hold, isPaid ? ['PAID'] : [], this.#maybe(0.25, 'REF', this.#ref())]),
      'ITEMS',
      ...this.#shuffled(items),
    ]
  }

  /** The same buyer takes again what an order of his lost: if that is paid late now, his limit may be in use, or the units gone. */
  #rivalOf(order: KnownOrder): string[] {
    const free = ORDERS.filter((id) => !this.#model.orders.has(id) && buyerOf(id) === order.buyer)
    const items = order.items.flatMap((item) => this.#split(item.sku.name, item.quantity))
    return [
      'STOCK.RESERVE',
      free.length > 0 ? this.#random.pick(free) : this.#id(),
      ...this.#maybe(0.2, 'PAID'),
      'ITEMS',
      ...this.#shuffled(items),
    ]
  }

  #confirm(): string[] {
    const known = this.#known((order) => order.state !== 'RELEASED' || this.#random.chance(0.2))
    if (known === undefined && this.#random.chance(0.8)) return this.#reserve()
    const id = known?.id ?? this.#id()
    const late = this.#maybe(known?.state === 'EXPIRED' ? 0.7 : 0.15, 'LATE')
    const ref = this.#maybe(0.65, 'REF', this.#ref())
    const units = (item: Item): number =>
      known?.state === 'RESERVED' ? item.reserved : known?.state === 'EXPIRED' ? item.expired : item.soldAtFirst
    const items = this.#maybe(0.35, 'ITEMS', ...(known === undefined ? this.#anyItems() : this.#partOf(known, units)).flat())
    return ['STOCK.CONFIRM', id, ...this.#shuffled([ref, late]), ...(items.length > 1 ? items : [])]
  }

  #release(): string[] {
    const isBegun = (order: KnownOrder): boolean => order.state === 'RESERVED' && order.operations.length > 0
    const begun = this.#random.chance(0.4) ? this.#known(isBegun) : undefined
    const known = begun ?? this.#known((order) => order.state === 'RESERVED' || this.#random.chance(0.4))
    return this.#giveBack('STOCK.RELEASE', known, (item) => item.reserved, this.#maybe(0.3, 'REASON', 'changed_mind'))
  }

  #return(): string[] {
    const known = this.#known((order) => order.state === 'CONFIRMED' || this.#random.chance(0.3))
    const norestock = this.#maybe(0.2, 'NORESTOCK')
    return this.#giveBack('STOCK.RETURN', known, (item) => item.sold, [...norestock, ...this.#maybe(0.2, 'REASON', 'broken')])
  }

  #giveBack(command: string, known: KnownOrder | undefined, units: (item: Item) => number, more: string[]): string[] {
    if (known === undefined && this.#random.chance(0.8)) return this.#reserve()
    const id = known?.id ?? this.#id()
    const earlier = known !== undefined && known.operations.length > 0 ? this.#random.pick(known.operations) : undefined
    if (earlier !== undefined && this.#random.chance(0.4)) {
      const another = this.#random.chance(0.35) ? 1 : 0
      const items = [...(earlier.items ?? [])].flatMap(([name, n]) => this.#split(name, n + another).flat())
      return [command, id, ...more, 'ID', earlier.id, ...(items.length > 0 ? ['ITEMS', ...items] : [])]
    }
    const operation = this.#random.chance(0.5) ? `op${++this.#operation}` : this.#random.pick(OPERATIONS)
    if (this.#random.chance(0.35)) return [command, id, ...more, ...this.#maybe(0.3, 'ID', operation)]
    const items = (known === undefined ? this.#anyItems() : this.#partOf(known, units)).flat()
    return [command, id, ...this.#shuffled([more, ['ID', operation]]), ...(items.length > 0 ? ['ITEMS', ...items] : [])]
  }

  #extend(): string[] {
    const known = this.#known((order) => order.state === 'RESERVED' || this.#random.chance(0.2))
    if (known === undefined && this.#random.chance(0.8)) return this.#reserve()
    return ['STOCK.EXTEND', known?.id ?? this.#id(), ...this.#duration()]
  }

  #create(): string[] {
    const name = this.#random.chance(0.9) ? this.#random.pick(SKUS) : this.#name()
    const there = this.#model.skus.get(name)
    if (there !== undefined && this.#random.chance(0.3)) {
      const [total, terms] = JSON.parse(there.createdBy) as [number, Record<string, string | number | boolean>]
      const options = Object.entries(terms).flatMap(([option, value]) =>
        option === 'paused' ? (value === true ? [['paused']] : []) : [[option, String(value)]],
      )
      return ['STOCK.CREATE', name, String(total), ...this.#shuffled(options)]
    }
    return [
      'STOCK.CREATE',
      name,
      String(this.#random.pick([0, 1, 2, 3, 4, 5, 6, 8, 12, 20])),
      ...this.#shuffled(this.#terms(0.35)),
      ...this.#maybe(0.03, 'PAUSED'),
    ]
  }

  #alter(): string[] {
    const terms = this.#terms(0.2)
    const state = this.#maybe(0.4, 'STATE', this.#random.chance(0.85) ? 'OPEN' : 'PAUSED')
    const chosen = this.#shuffled([...terms, state])
    return ['STOCK.ALTER', this.#sku(), ...(chosen.length > 0 ? chosen : ['START', '0', 'END', '0', 'LIMIT', '3'])]
  }

  #terms(chance: number): string[][] {
    const soon = (): string => String(this.#random.chance(0.4) ? 0 : this.#model.now + this.#random.between(-3, 5) * 1000)
    return [
      this.#maybe(chance + 0.2, 'HOLD', String(this.#random.between(1, 6))),
      this.#maybe(chance, 'MAXHOLD', String(this.#random.between(1, 12))),
      this.#maybe(chance + 0.1, 'LIMIT', String(this.#random.below(8))),
      this.#maybe(chance / 2, 'MAXQTY', String(this.#random.between(1, 4))),
      this.#maybe(chance / 2, 'SAFETY', String(this.#random.below(3))),
      this.#maybe(chance / 16, 'START', soon()),
      this.#maybe(chance / 16, 'END', soon()),
      this.#maybe(chance / 3, 'PRICE', String(this.#random.between(-1, 3))),
      this.#maybe(chance / 3, 'SELLER', this.#random.pick(['', 's7'])),
    ]
  }

  #adjust(): string[] {
    const name = this.#sku()
    const sku = this.#model.skus.get(name)
    const earlier = [...(sku?.adjustments ?? [])]
    const [id, delta] =
      earlier.length > 0 && this.#random.chance(0.25)
        ? this.#random.pick(earlier)
        : [this.#random.chance(0.6) ? `a${++this.#operation}` : this.#random.pick(OPERATIONS), this.#random.between(-5, 7) || 1]
    const total = (sku?.total ?? 5) + (this.#random.chance(0.3) ? 1 : 0)
    const options = [
      ['ID', id],
      this.#maybe(0.2, 'REASON', this.#random.pick(['received', 'damaged'])),
      this.#maybe(0.1, 'REF', 'http://x'),
      this.#maybe(0.2, 'IFTOTAL', String(total)),
      this.#maybe(0.4, 'CLAMP'),
    ]
    return ['STOCK.ADJUST', name, String(this.#random.chance(0.01) ? Number.MAX_SAFE_INTEGER : delta), ...this.#shuffled(options)]
  }

  /** A part of an order: mostly no more than there is of each item, now and then one too many or of a stranger. */
  #partOf(order: KnownOrder, units: (item: Item) => number): string[][] {
    const part: string[][] = []
    for (const item of order.items) {
      const n = units(item)
      const quantity = this.#random.chance(0.35) ? n : this.#random.below(n + 1)
      if (quantity > 0) part.push(...this.#split(item.sku.name, quantity))
    }
    if (this.#random.chance(0.06)) part.push([this.#name(), '1'])
    return part
  }

  #anyItems(): string[][] {
    const n = this.#random.pick([1, 1, 1, 2, 2, 3])
    return Array.from({ length: n }, () => [this.#sku(), String(this.#random.pick([1, 1, 2, 2, 3, 4]))])
  }

  /** The same quantity of a SKU in one piece or in two. */
  #split(name: string, quantity: number): string[][] {
    if (quantity < 2 || this.#random.chance(0.8)) return [[name, String(quantity)]]
    return [
      [name, '1'],
      [name, String(quantity - 1)],
    ]
  }

  #duration(): string[] {
    return this.#random.chance(0.7) ? ['EX', String(this.#random.between(1, 9))] : ['PX', String(this.#random.pick([1, 999, 1500, 4000]))]
  }

  /** Mostly one that is not in use. */
  #freeId(): string {
    const free = ORDERS.filter((id) => !this.#model.orders.has(id))
    return free.length > 0 && this.#random.chance(0.9) ? this.#random.pick(free) : this.#id()
  }

  #known(wanted: (order: KnownOrder) => boolean): KnownOrder | undefined {
    const found = [...this.#model.orders.values()].filter((order) => wanted(order) && (!order.tombstone || this.#random.chance(0.1)))
    return found.length === 0 ? undefined : this.#random.pick(found)
  }

  #id(): string {
    return this.#random.pick(ORDERS)
  }

  #ref(): string {
    return this.#random.pick(REFS)
  }

  #state(): string {
    return this.#random.pick(['RESERVED', 'CONFIRMED', 'RELEASED', 'EXPIRED', 'RETURNED'])
  }

  /** Mostly one that is there. */
  #sku(): string {
    const there = SKUS.filter((name) => this.#model.skus.has(name))
    if (there.length > 0 && this.#random.chance(0.95)) return this.#random.pick(there)
    return this.#random.chance(0.5) ? 'note' : this.#name()
  }

  #name(): string {
    return this.#random.pick([...SKUS, ...STRANGERS])
  }

  #maybe(chance: number, ...words: string[]): string[] {
    return this.#random.chance(chance) ? words : []
  }

  /** Whole options, in another order. */
  #shuffled(options: readonly (readonly string[])[]): string[] {
    const left = [...options]
    const words: string[] = []
    while (left.length > 0) words.push(...left.splice(this.#random.below(left.length), 1)[0])
    return words
  }
}
