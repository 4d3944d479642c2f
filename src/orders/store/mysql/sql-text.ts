// Values as SQL text. Bytes and all text that is not plain become hex literals, so nothing that a value holds can end a string, whatever
// the server's sql_mode and the connection's character set are.

export type SqlValue = number | bigint | string | Buffer | null

/** Letters of states, types and digits: readable in the server's logs. */
const PLAIN = /^[A-Za-z0-9_.:-]*$/

export function literal(value: SqlValue): string {
  if (value === null) return 'NULL'
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new RangeError(`${value} is no number for SQL`)
    return String(value)
  }
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'string') {
    if (PLAIN.test(value)) return `'${value}'`
    return `X'${Buffer.from(value, 'utf8').toString('hex')}'`
  }
  return `X'${value.toString('hex')}'`
}

/** (1,'a',NULL) */
export function tuple(values: readonly SqlValue[]): string {
  let text = '('
  for (let i = 0; i < values.length; i++) text += i === 0 ? literal(values[i]) : `,${literal(values[i])}`
  return `${text})`
}

/** For IN (...): not empty. */
export function list(values: readonly SqlValue[]): string {
  return tuple(values)
}
