// A seller for tests: many shoppers at once who reserve, confirm, release, extend, return, pay too late, or forget their holds, over RESP.
//
// It remembers of every order what it was told, so that node and database can be asked afterwards whether they know the same. Where an answer
// did not come (the node was killed) nothing is known: a shopper then asks STOCK.ORDER, or sends the same command again, as clients do. So at
// the end everything is known, but for holds that may run out by themselves.
//
//   const seller = new Seller({ port: node.port, random })
//   await seller.open()
//   await seller.sell(1000)           1,000 shoppers, each to the end of his story
//   seller.orders                     what became of them
//
// Text is latin1 throughout: one character is one byte, also of names that are not UTF-8.

import type { Random } from '../../src/base/random.ts'
import { eventually } from './eventually.ts'
import { ErrorReply, RawClient, decodeReply, encodeRequest, type Value } from './raw-client.ts'

/** The node may be away so long before a shopper gives up. */
const AWAY_MS_MAX = 120_000
const LONG_HOLD_S = 36_000
/** Errors that say: not now. The same command is sent again. */
const LATER = /^(MISCONF|TRYAGAIN|LOADING|OOM|CLUSTERDOWN)\b/

export interface KnownItem {
  readonly sku: string
  readonly quantity: number
  reserved: number
  sold: number
  released: number
  returned: number
}

/** What the seller was told about an order. */
export interface KnownOrder {
  readonly id: string
  readonly items: readonly KnownItem[]
  state: 'RESERVED' | 'CONFIRMED' | 'RELEASED' | 'EXPIRED' | 'RETURNED'
  /** RESERVED: its hold may run out before anybody looks. */
  readonly mayExpire: boolean
}

export interface SellerOptions {
  readonly port: number
  readonly random: Random
  readonly skus?: number
  readonly buyers?: number
  readonly connections?: number
  /** Shoppers that one connection serves at a time, in one pipeline. */
  readonly depth?: number
}

/** What sends a command gets an answer, or nothing: the connection broke. */
type Answer = Value | typeof LOST
type Ask = readonly (string | number)[]
/** A shopper: yields what he asks, is given the answer. */
type Shopper = Generator<Ask, void, Answer>

const LOST = Symbol('no answer')

export class Seller {
  /** By id: those that the node has accepted. */
  readonly orders = new Map<string, KnownOrder>()
  readonly skus: readonly string[]
  /** Shoppers who have come to the end of their story. */
  finished = 0
  answers = 0
  /** Commands whose answer did not come. */
  unanswered = 0
  /** Answers by their status word, and errors by their first. */
  readonly heard = new Map<string, number>()
  readonly #port: number
  readonly #random: Random
  readonly #buyers: number
  readonly #connections: number
  readonly #depth: number
  #next = 0
  #wanted = 0
  #begun = 0
  #isStopping = false

  constructor({ port, random, skus = 20, buyers = 2000, connections = 4, depth = 16 }: SellerOptions) {
    this.#port = port
    this.#random = random
    this.skus = Array.from({ length: skus }, (_, n) => `sku:${n}`)
    this.#buyers = buyers
    this.#connections = connections
    this.#depth = depth
  }

  /** Creates the SKUs. Every fifth is scarce, so that some shoppers come too late; every fourth has a limit. */
  async open(): Promise<void> {
    await using client = await RawClient.connect(this.#port)
    for (const [n, sku] of this.skus.entries()) {
      const units = n % 5 === 4 ? 300 : 1_000_000_000
      const terms = [
        'HOLD',
        LONG_HOLD_S,
        'MAXHOLD',
        2 * LONG_HOLD_S,
        'PRICE',
        100 + n,
        'SELLER',
        `s${n % 7}`,
        ...(n % 4 === 3 ? ['LIMIT', 50] : []),
      ]
      const made = await client.call('STOCK.CREATE', sku, units, ...terms)
      if (made !== 1) throw new Error(`STOCK.CREATE ${sku}: ${JSON.stringify(made)}`)
    }
  }

  /**
   * So many more shoppers. Resolves when each has heard all his answers, or after `stop`.
   * @param perSecond so many come in a second, at most
   */
  async sell(shoppers: number, perSecond = Infinity): Promise<void> {
    this.#isStopping = false
    this.#wanted += shoppers
    const began = performance.now()
    const before = this.#begun
    const mayBegin = (): boolean => this.#begun - before < ((performance.now() - began) / 1000) * perSecond
    await Promise.all(Array.from({ length: this.#connections }, () => this.#serve(mayBegin)))
  }

  /** No new shoppers; `sell` resolves when those who are there have finished. */
  stop(): void {
    this.#isStopping = true
    this.#wanted = this.#begun
  }

  /** Resolves when so many more answers have come: a moment in the middle of it. */
  async hears(answers: number): Promise<void> {
    const until = this.answers + answers
    await eventually(
      `${answers} more answers`,
      () => this.answers >= until || (this.#isStopping && this.finished === this.#begun),
      AWAY_MS_MAX,
    )
  }

  /** One connection after another, and the shoppers that use it. */
  async #serve(mayBegin: () => boolean): Promise<void> {
    let client: RawClient | null = null
    const there: { readonly shopper: Shopper; ask: Ask }[] = []
    try {
      for (;;) {
        while (there.length < this.#depth && this.#begun < this.#wanted && mayBegin()) {
          this.#begun++
          const shopper = this.#shopper(this.#next++)
          const { value, done } = shopper.next()
          if (done !== true) there.push({ shopper, ask: value })
        }
        if (there.length === 0) {
          if (this.#begun >= this.#wanted) return
          await eventually('the next shopper', () => mayBegin() || this.#begun >= this.#wanted)
          continue
        }
        client ??= await eventually('the node to take connections', () => RawClient.connect(this.#port), AWAY_MS_MAX)
        const answers = await exchange(
          client,
          there.map(({ ask }) => ask),
        )
        if (answers.includes(LOST)) {
          await client.close()
          client = null
        }
        for (const [i, visit] of there.splice(0).entries()) {
          this.#count(answers[i])
          const { value, done } = visit.shopper.next(answers[i])
          if (done === true) this.finished++
          else {
            visit.ask = value
            there.push(visit)
          }
        }
      }
    } finally {
      await client?.close()
    }
  }

  #count(answer: Answer): void {
    if (answer === LOST) {
      this.unanswered++
      return
    }
    this.answers++
    const word = answer instanceof ErrorReply ? answer.text.split(' ', 1)[0] : Array.isArray(answer) ? String(answer[0]) : null
    if (word !== null) this.heard.set(word, (this.heard.get(word) ?? 0) + 1)
  }

  *#shopper(n: number): Shopper {
    const random = this.#random.fork(`shopper ${n}`)
    const story = random.float()
    // 12 % forget it, 5 % come too late with their money.
    const isLeft = story < 0.12
    const isLate = story >= 0.12 && story < 0.17
    const isPaid = story >= 0.17 && story < 0.25
    const items = this.#basket(random)
    const id = this.#orderId(random, n)
    const hold = isLeft || isLate ? ['PX', random.between(40, 600)] : []
    const order: KnownOrder = { id, items, state: 'RESERVED', mayExpire: isLeft || isLate }
    const paid = isPaid ? ['PAID'] : []
    const ref = random.chance(0.3) ? ['REF', `cart-${n}`] : []
    const list = items.flatMap(({ sku, quantity }) => [sku, quantity])

    const status = yield* this.#insist(random, ['STOCK.RESERVE', id, ...hold, ...paid, ...ref, 'ITEMS', ...list])
    if (status === 'OK') this.orders.set(id, order)
    // Its answer was lost, and meanwhile it ran out.
    else if (status === 'EXPIRED') this.orders.set(id, expired(order))
    else return
    if (isPaid) sold(order)
    if (isLeft || status === 'EXPIRED') return

    const pay = ['REF', `pay-${n}`]
    if (isLate) {
      // A few questions later it has run out, or nearly.
      for (let i = random.below(8); i > 0; i--) yield* this.#insist(random, ['STOCK.ORDER', id])
      const late = yield* this.#insist(random, ['STOCK.CONFIRM', id, ...pay, 'LATE'])
      if (late === 'OK') soldLate(order)
      else expired(order)
      return
    }
    if (isPaid) {
      if (random.chance(0.3)) yield* this.#bringBack(random, order, n)
      return
    }
    if (story < 0.3) return // stays open

    if (random.chance(0.15)) yield* this.#insist(random, ['STOCK.EXTEND', id, 'EX', 2 * LONG_HOLD_S])
    const [first] = items
    const isSeveral = first.quantity > 1
    if (isSeveral && random.chance(0.2)) {
      const some = random.between(1, first.quantity - 1)
      const part = yield* this.#insist(random, ['STOCK.RELEASE', id, 'ID', `rel-${n}`, 'REASON', 'changed_mind', 'ITEMS', first.sku, some])
      if (part === 'OK') {
        first.reserved -= some
        first.released += some
      }
    }
    if (story < 0.48) {
      const released = yield* this.#insist(random, ['STOCK.RELEASE', id, ...(random.chance(0.5) ? ['REASON', 'changed_mind'] : [])])
      if (released === 'OK') wentBack(order, 'RELEASED')
      // Money for nothing: it is said once, and changes nothing of the order.
      if (random.chance(0.2)) yield* this.#insist(random, ['STOCK.CONFIRM', id, ...pay])
      return
    }
    if (isSeveral && random.chance(0.2)) {
      const some = random.between(1, first.reserved)
      const confirmed = yield* this.#insist(random, ['STOCK.CONFIRM', id, ...pay, 'ITEMS', first.sku, some])
      if (confirmed === 'OK') {
        first.sold += some
        first.reserved -= some
        wentBack(order, 'CONFIRMED')
      }
    } else {
      const confirmed = yield* this.#insist(random, ['STOCK.CONFIRM', id, ...pay])
      if (confirmed === 'OK') sold(order)
    }
    if (random.chance(0.15)) yield* this.#bringBack(random, order, n)
  }

  *#bringBack(random: Random, order: KnownOrder, n: number): Generator<Ask, void, Answer> {
    const { id } = order
    const first = order.items.find((item) => item.sold > 1)
    if (first !== undefined && random.chance(0.5)) {
      const some = random.between(1, first.sold - 1)
      const back = yield* this.#insist(random, [
        'STOCK.RETURN',
        id,
        'ID',
        `ret-${n}`,
        'REASON',
        'damaged',
        'NORESTOCK',
        'ITEMS',
        first.sku,
        some,
      ])
      if (back === 'OK') {
        first.sold -= some
        first.returned += some
      }
    }
    if (random.chance(0.6) && (yield* this.#insist(random, ['STOCK.RETURN', id, 'ID', `all-${n}`])) === 'OK') cameBack(order)
  }

  /**
   * Asks until there is an answer.
   * @returns its status word; '' if it is another kind of answer; the first word of an error that will not change
   */
  *#insist(random: Random, ask: Ask): Generator<Ask, string, Answer> {
    for (;;) {
      const answer = yield ask
      if (answer === LOST) {
        // Some look first: is it there? What they hear changes nothing, the same command is right either way.
        if (random.chance(0.3)) yield ['STOCK.ORDER', ask[1]]
        continue
      }
      if (answer instanceof ErrorReply) {
        if (LATER.test(answer.text)) continue
        const [word] = answer.text.split(' ', 1)
        if (word === 'BACKLOG') return word
        throw new Error(`${ask.join(' ')}: ${answer.text}`)
      }
      return Array.isArray(answer) && typeof answer[0] === 'string' ? answer[0] : ''
    }
  }

  #basket(random: Random): KnownItem[] {
    const count = random.chance(0.75) ? 1 : random.between(2, 4)
    const skus = new Set(Array.from({ length: count }, () => random.pick(this.skus)))
    return [...skus].map((sku) => {
      const quantity = random.chance(0.6) ? 1 : random.between(2, 5)
      return { sku, quantity, reserved: quantity, sold: 0, released: 0, returned: 0 }
    })
  }

  #orderId(random: Random, n: number): string {
    const buyer = random.below(this.#buyers)
    // Some names are no UTF-8.
    return buyer % 100 === 99 ? `{b\xff\xfe${buyer}}${n}` : `{b${buyer}}${n}`
  }
}

function sold(order: KnownOrder): void {
  for (const item of order.items) {
    item.sold += item.reserved
    item.reserved = 0
  }
  order.state = 'CONFIRMED'
}

/** Whether the hold had run out or not: everything is sold now. */
function soldLate(order: KnownOrder): void {
  for (const item of order.items) Object.assign(item, { reserved: 0, released: 0, sold: item.quantity })
  order.state = 'CONFIRMED'
}

function wentBack(order: KnownOrder, state: KnownOrder['state']): void {
  for (const item of order.items) {
    item.released += item.reserved
    item.reserved = 0
  }
  order.state = state
}

export function expired(order: KnownOrder): KnownOrder {
  wentBack(order, 'EXPIRED')
  return order
}

function cameBack(order: KnownOrder): void {
  for (const item of order.items) {
    item.returned += item.sold
    item.sold = 0
  }
  order.state = 'RETURNED'
}

/** All in one write. Answers that do not come are LOST. */
async function exchange(client: RawClient, asks: readonly Ask[]): Promise<Answer[]> {
  client.send(
    Buffer.concat(asks.map((ask) => encodeRequest(ask.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part))))),
  )
  const answers: Answer[] = []
  try {
    while (answers.length < asks.length) answers.push(decodeReply(await client.read(AWAY_MS_MAX)))
  } catch {
    while (answers.length < asks.length) answers.push(LOST)
  }
  return answers
}
