// What a failed store operation means for who asked (ORDERS.md 5).

/**
 * wait     the database is not there or takes no writes: open the circuit, back off, for ever
 * again    a deadlock or a lock wait: a few times at once, then as wait
 * poison   this data will never go in: bisect to the single event
 * unknown  as wait, with an alarm after ten minutes
 */
export type StoreErrorClass = 'wait' | 'again' | 'poison' | 'unknown'

export class StoreError extends Error {
  readonly kind: StoreErrorClass
  /** The database's own code, as text. */
  readonly code: string

  constructor(kind: StoreErrorClass, code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StoreError'
    this.kind = kind
    this.code = code
  }
}
