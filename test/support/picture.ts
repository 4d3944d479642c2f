// A picture of a way at work, for people: redrawn in place on a terminal, a line now and then where there is none.

import type { Seller } from './seller.ts'
import { STATIONS, type Station, type Way } from './way.ts'

const REDRAW_MS = 250
const LINE_MS = 5000
const BAR = 30

/** Events, summed over the parts: how many have come how far. As the node has told last. */
interface Steps {
  readonly happened: number
  readonly published: number
  readonly acked: number
  readonly stored: number
}

export class Picture {
  readonly #way: Way
  readonly #seller: Seller
  readonly #wanted: number
  readonly #began = performance.now()
  readonly #isLive = process.stdout.isTTY
  readonly #timer: NodeJS.Timeout
  #steps: Steps = { happened: 0, published: 0, acked: 0, stored: 0 }
  #note = ''
  #drawn = 0
  #isAsking = false
  #rate = { at: performance.now(), orders: 0, perSecond: 0 }

  constructor(way: Way, seller: Seller, wanted: number) {
    this.#way = way
    this.#seller = seller
    this.#wanted = wanted
    this.#timer = setInterval(() => void this.#tick(), this.#isLive ? REDRAW_MS : LINE_MS)
  }

  /** What happens now. */
  note(text: string): void {
    this.#note = text
    if (!this.#isLive) console.log(`${this.#clock()}  ${text}`)
  }

  end(): void {
    clearInterval(this.#timer)
    this.#draw()
  }

  async #tick(): Promise<void> {
    const now = performance.now()
    const { size: orders } = this.#seller.orders
    if (now - this.#rate.at > 2000) {
      this.#rate = { at: now, orders, perSecond: ((orders - this.#rate.orders) / (now - this.#rate.at)) * 1000 }
    }
    if (this.#way.isUp('node') && !this.#isAsking) {
      this.#isAsking = true
      // Killed while it is asked: the next tick asks the next one.
      await this.#ask().catch(() => {})
      this.#isAsking = false
    }
    this.#draw()
  }

  async #ask(): Promise<void> {
    const status = await this.#way.status()
    const sum = (name: string): number => (status.get(name) as number[]).reduce((all, n) => all + n, 0)
    this.#steps = { happened: sum('last'), published: sum('published'), acked: sum('acked'), stored: sum('stored') }
  }

  #draw(): void {
    const { happened, published, acked, stored } = this.#steps
    const { size: orders } = this.#seller.orders
    const share = Math.min(orders / this.#wanted, 1)
    const behind = (n: number): string => `${count(n)} events${happened > n ? `, ${count(happened - n)} behind` : ''}`
    const rate = `${count(Math.round(this.#rate.perSecond))}/s`
    if (!this.#isLive) {
      const dead = STATIONS.filter((station) => !this.#way.isUp(station))
      console.log(
        `${this.#clock()}  ${count(orders)} orders, ${rate}; ${count(happened)} events, behind: published ${count(happened - published)}, ` +
          `acked ${count(happened - acked)}, stored ${count(happened - stored)}${dead.length === 0 ? '' : `; dead: ${dead.join(', ')}`}`,
      )
      return
    }
    const far: Record<Station, string> = {
      node: `${count(happened)} events`,
      broker: `took ${behind(acked)}`,
      consumer: `${this.#way.consumers.length} alive`,
      database: `has ${behind(stored)}`,
    }
    const lines = [
      `${this.#clock()}  ${'#'.repeat(Math.round(share * BAR)).padEnd(BAR, '.')}  ${count(orders)} of ${count(this.#wanted)} orders  ${rate}`,
      ...STATIONS.map((station) => {
        const state = this.#way.isUp(station) ? '\x1b[32mup  \x1b[0m' : '\x1b[1;31mDEAD\x1b[0m'
        return `  ${station.padEnd(9)} ${state}  killed ${this.#way.kills[station]}  ${far[station]}`
      }),
      `  ${this.#note}`,
    ]
    const up = this.#drawn === 0 ? '' : `\x1b[${this.#drawn}A`
    process.stdout.write(`${up}${lines.map((line) => `\x1b[2K${line}\n`).join('')}`)
    this.#drawn = lines.length
  }

  #clock(): string {
    const seconds = Math.round((performance.now() - this.#began) / 1000)
    return `${String(Math.floor(seconds / 60)).padStart(2)}:${String(seconds % 60).padStart(2, '0')}`
  }
}

export const count = (n: number): string => n.toLocaleString('en-US')
