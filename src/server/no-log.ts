// `appendonly no`: records are counted and forgotten; every reply may leave at once.

import type { Lsn } from '../base/brand.ts'
import type { TurnLog } from './turn.ts'

export class NoLog implements TurnLog {
  last = 0 as Lsn
  readonly acked = Infinity as Lsn

  append(_bytes: Buffer, _length: number, records: number): Lsn {
    this.last = (this.last + records) as Lsn
    return this.last
  }

  write(): void {}

  refusal(): null {
    return null
  }
}
