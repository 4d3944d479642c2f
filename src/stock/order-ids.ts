// The rest of a `{buyer}*` id, made by the server: 17 characters that sort in the order in which they were made.
//
//   time (48 bits, 10 characters) | number within the millisecond (15 bits, 3) | salt (10 bits, 2) | node (8 bits, 2)      base 32
//
// Increasing per node, whatever the clock does: time never goes back here, and when a millisecond's 32,768 numbers are used up, the next
// one is begun early. Unique over 256 nodes. After a restart the replayed records say where to go on; ids whose records were lost with
// the machine's power cannot come again, because time has gone on and because each process has its own salt.

const ALPHABET = Buffer.from('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 'latin1')
const TIME_CHARACTERS = 10
const NUMBER_CHARACTERS = 3
const NUMBERS = 1 << 15
const HALF = 1 << 25
export const MADE_ID_BYTES = 17

export class OrderIds {
  readonly #tail: number
  /** The last one made. */
  time = 0
  number = -1

  constructor(source: { readonly nodeNumber: number; readonly salt: number }) {
    this.#tail = ((source.salt & 0x3ff) << 10) | (source.nodeNumber & 0xff)
  }

  /** Writes the next one at bytes[at ..). @returns the position behind it. */
  make(bytes: Uint8Array, at: number, now: number): number {
    if (now > this.time) {
      this.time = now
      this.number = 0
    } else if (++this.number === NUMBERS) {
      this.time++
      this.number = 0
    }
    // Two halves of 25 bits: int32 arithmetic is several times faster than dividing doubles.
    const high = Math.floor(this.time / HALF)
    let p = writeBase32(bytes, at, high, TIME_CHARACTERS / 2)
    p = writeBase32(bytes, p, this.time - high * HALF, TIME_CHARACTERS / 2)
    p = writeBase32(bytes, p, this.number, NUMBER_CHARACTERS)
    return writeBase32(bytes, p, this.#tail, MADE_ID_BYTES - TIME_CHARACTERS - NUMBER_CHARACTERS)
  }

  /** An id that this node made, as its record says: the next ones come after it. */
  observe(id: Uint8Array, end: number): void {
    const start = end - MADE_ID_BYTES
    const time = readBase32(id, start, TIME_CHARACTERS)
    const number = readBase32(id, start + TIME_CHARACTERS, NUMBER_CHARACTERS)
    if (time > this.time || (time === this.time && number > this.number)) {
      this.time = time
      this.number = number
    }
  }
}

function writeBase32(bytes: Uint8Array, at: number, n: number, characters: number): number {
  for (let p = at + characters - 1; p >= at; p--) {
    bytes[p] = ALPHABET[n & 31]
    n >>>= 5
  }
  return at + characters
}

function readBase32(bytes: Uint8Array, at: number, characters: number): number {
  let n = 0
  for (let i = 0; i < characters; i++) n = n * 32 + Math.max(0, ALPHABET.indexOf(bytes[at + i]))
  return n
}
