// A record as a line of text: `12 2026-10-01T10:00:00.000Z SET "k" "v"`, values quoted and escaped as redis-cli does.

const NAMED = new Map([
  [10, '\\n'],
  [13, '\\r'],
  [9, '\\t'],
  [7, '\\a'],
  [8, '\\b'],
  [34, '\\"'],
  [92, '\\\\'],
])

export function quoted(bytes: Uint8Array, start: number, end: number): string {
  let text = '"'
  for (let i = start; i < end; i++) {
    const c = bytes[i]
    text += NAMED.get(c) ?? (c >= 32 && c < 127 ? String.fromCharCode(c) : `\\x${c.toString(16).padStart(2, '0')}`)
  }
  return `${text}"`
}

export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
}
