// Copying bytes between buffers and table rows, and numbers that stand among them.
//
// Rows live in SharedArrayBuffers, and there TypedArray.set and copyWithin fall back to a careful copy that is 12 times slower (64 KiB:
// 25 us instead of 2). Buffer's copy does not, whatever the two sides are; for a few bytes a loop beats every call.

const LOOP_BYTES_MAX = 48
// oxlint-disable-next-line typescript/unbound-method -- called with the array it copies from, below
const nativeCopy = (Buffer.prototype as Buffer).copy

/** Copies source[start..end) to target[at..). The two may be one array. The caller has made room. */
export function copyBytes(source: Uint8Array, start: number, end: number, target: Uint8Array, at: number): void {
  // Forwards, so that bytes that move towards the beginning of their own memory arrive unharmed; the other direction is native.
  if (end - start <= LOOP_BYTES_MAX && (source !== target || at <= start)) while (start < end) target[at++] = source[start++]
  else nativeCopy.call(source, target, at, start, end)
}

/** The signed 32-bit number at `at`, little-endian, wherever that is. */
export function readWord(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
}

export function writeWord(bytes: Uint8Array, at: number, n: number): void {
  bytes[at] = n
  bytes[at + 1] = n >>> 8
  bytes[at + 2] = n >>> 16
  bytes[at + 3] = n >>> 24
}
