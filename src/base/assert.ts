// Assertions stay on in production: a broken invariant stops the node, and the log brings it back in a state that is known.

export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** States what must be true here; false is a bug of ours, never of a client. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** Marks the end of a switch over a union: the compiler proves that it is never reached. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`)
}
