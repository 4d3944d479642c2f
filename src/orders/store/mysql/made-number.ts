// The number of an order id that the node made (`{buyer}*`): for people and tools that want one, not a key.
//
// Such an id ends in 17 characters (stock/order-ids.ts): time, number within the millisecond, then salt and node. Time and number make 63
// bits, which ascend as the ids do. Another shop's id may look the same; then it has a number, too, and nothing comes of it.

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const MADE = /\}([0-9A-HJKMNP-TV-Z]{13})[0-9A-HJKMNP-TV-Z]{4}$/

export function madeNumber(id: string): bigint | null {
  const found = MADE.exec(id)
  if (found === null) return null
  let number = 0n
  for (const character of found[1]) number = (number << 5n) | BigInt(ALPHABET.indexOf(character))
  // Ten characters hold 50 bits, a time has 48.
  return number >> 63n === 0n ? number : null
}
