// Seeded random numbers: xoshiro128** (Blackman and Vigna), with named sub-streams, so that one more draw in one place does not
// move the others. The engine gets one from its edge; nothing below the edge calls Math.random.

export class Random {
  #a: number
  #b: number
  #c: number
  #d: number
  readonly seed: number

  constructor(seed: number) {
    this.seed = seed >>> 0
    // splitmix32 fills the state: a seed of 0 must not give the all-zero state, from which xoshiro never leaves.
    let s = this.seed
    const next = (): number => {
      s = (s + 0x9e3779b9) | 0
      let z = s ^ (s >>> 16)
      z = Math.imul(z, 0x21f0aaad)
      z ^= z >>> 15
      z = Math.imul(z, 0x735a2d97)
      return z ^ (z >>> 15)
    }
    this.#a = next()
    this.#b = next()
    this.#c = next()
    this.#d = next()
  }

  /** An unsigned 32-bit number. */
  uint32(): number {
    const x = Math.imul(this.#b, 5)
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0
    const t = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= t
    this.#d = (this.#d << 11) | (this.#d >>> 21)
    return result
  }

  /** A number in [0, 1). */
  float(): number {
    return this.uint32() / 4294967296
  }

  /** An integer in [0, n), 1 <= n <= 2^32. */
  below(n: number): number {
    return Math.floor(this.float() * n)
  }

  /** An integer in [low, high]. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  chance(probability: number): boolean {
    return this.float() < probability
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]
  }

  /** A stream of its own, named: the same name under the same seed is the same stream. */
  fork(name: string): Random {
    let h = this.seed | 0
    for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193)
    return new Random(h)
  }
}
