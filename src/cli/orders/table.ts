// Text for people: tables whose columns stand in line, local times, amounts. Whatever an id holds, a terminal shows it and does not obey it.

/** Characters that move the cursor or the reading direction, and halves of characters (bytes that are not UTF-8, see name.ts). */
// oxlint-disable-next-line no-control-regex
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu
const GAP = '  '

export function shown(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.charCodeAt(0)
    return code >= 0xdc80 && code <= 0xdcff ? `\\x${(code - 0xdc00).toString(16)}` : `\\u${code.toString(16).padStart(4, '0')}`
  })
}

/** Columns that hold only numbers stand to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(shown))
  const widths = head.map((title, i) => Math.max(widthOf(title), ...cells.map((row) => widthOf(row[i]))))
  const isNumeric = head.map((_, i) => cells.length > 0 && cells.every((row) => /^-?[\d.]*$/.test(row[i])))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => {
        const space = ' '.repeat(widths[i] - widthOf(cell))
        return isNumeric[i] ? space + cell : cell + space
      })
      .join(GAP)
      .trimEnd()
  return [head, ...cells].map(line).join('\n')
}

/** `name  value` lines; those without a value are left out. */
export function facts(pairs: readonly (readonly [string, string | null])[]): string {
  const told = pairs.filter((pair): pair is readonly [string, string] => pair[1] !== null)
  const width = Math.max(...told.map(([name]) => name.length))
  return told.map(([name, value]) => `${name.padEnd(width)}${GAP}${shown(value)}`).join('\n')
}

const two = (n: number): string => String(n).padStart(2, '0')

/** In the time zone of who looks. 0 is no time. */
export function localTime(ms: number): string {
  if (ms === 0) return ''
  const at = new Date(ms)
  return (
    `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ` +
    `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, '0')}`
  )
}

/** `1 order`, `2 orders` */
export const counted = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`

const segmenter = new Intl.Segmenter()

/** In columns of a terminal, nearly: what is wide in East Asia takes two. */
function widthOf(text: string): number {
  let width = 0
  for (const { segment } of segmenter.segment(text)) {
    width += /^[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]|^\p{Emoji_Presentation}/u.test(
      segment,
    )
      ? 2
      : 1
  }
  return width
}
