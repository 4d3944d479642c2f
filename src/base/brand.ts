// Branded types: a value gets its type once, at the edge, and is never mixed up again inside.

declare const brand: unique symbol

/** A `T` that was checked to be a `Name`. Made only by parsers and by the functions below. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** A point in time: unix milliseconds by the node's own clock, which never goes back. Durations are plain numbers named `...Ms`. */
export type Millis = Brand<number, 'Millis'>

/** Log sequence number: a record's place in the log, 1, 2, 3 ... 0 means "before the first record". */
export type Lsn = Brand<number, 'Lsn'>

export const millis = (n: number): Millis => n as Millis
export const lsn = (n: number): Lsn => n as Lsn
