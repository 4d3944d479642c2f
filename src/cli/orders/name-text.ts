// Names of orders, buyers, SKUs and sellers as a person reads and types them: any bytes, as text that a terminal shows and a shell takes.
//
//   \xHH      a byte that is part of no UTF-8 character
//   \uHHHH    a character that a terminal would obey, or not show
//   \\        a backslash
//
// What `nameText` prints, `readName` takes back, to the byte. A backslash before anything else is itself, so most names can be typed as
// they are.

import { bytesOfName, nameOfBytes } from '../../orders/store/name.ts'
import { shown } from './table.ts'

const ESCAPED = /\\(?:\\|x([0-9a-f]{2})|u([0-9a-f]{4}))/gi
/** What a byte becomes that is no UTF-8: in a name (store/name.ts), and in an argument, where it is lost. */
const BYTE = 0xdc00
const LOST = '\ufffd'

export const nameText = (name: string): string => shown(name.replaceAll('\\', '\\\\'))

/** For commander. */
export function readName(text: string): string {
  const name = text.replace(ESCAPED, (_, byte?: string, unit?: string) => {
    if (byte !== undefined) return String.fromCharCode((byte < '8' ? 0 : BYTE) + parseInt(byte, 16))
    return unit === undefined ? '\\' : String.fromCharCode(parseInt(unit, 16))
  })
  // Bytes that together are a character are that character.
  return name.isWellFormed() ? name : nameOfBytes(bytesOfName(name))
}

/** Why a name may not have been found, as the end of a sentence. */
export const lostBytes = (name: string): string =>
  name.includes(LOST) ? ' (bytes that are not UTF-8 are written \\xHH, as list prints them)' : ''
