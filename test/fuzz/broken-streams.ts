// Pipelines of requests that read only, multibulk and inline in turn, with a few bytes wrong: lengths and counts that lie a little or by
// thousands of millions, line ends in halves, pieces twice or missing.

import type { Random } from '../../src/base/random.ts'

export const encoded = (...args: string[]): string => `*${args.length}\r\n${args.map((a) => `$${a.length}\r\n${a}\r\n`).join('')}`

/** A pipeline that is right. */
export function wholeStream(random: Random): string {
  return Array.from({ length: random.between(1, 6) }, () =>
    random.pick([
      () => encoded('PING'),
      () => encoded('GET', 'nokey'),
      () => encoded('ECHO', random.pick(['', 'a', '*1', '$4\r\nPING', '\0', '\r\n', '\n', 'x'.repeat(50), 'y'.repeat(3000)])),
      () => encoded(...Array.from({ length: random.between(2, 12) }, (_, i) => (i === 0 ? 'EXISTS' : `k${i}`))),
      () => encoded('', ''),
      () => 'PING\r\n',
      () => `ECHO "${random.pick(['', 'a b', '\\x41', '\\"', "'", '\\r\\n'])}"\n`,
      () => `echo '${random.pick(['', 'a b', "\\'", '"'])}'\r\n`,
      () => random.pick(['\r\n', '*0\r\n', '*-1\r\n', '\n', '  \r\n']),
    ])(),
  ).join('')
}

const PIECES = [
  '',
  '\r',
  '\n',
  '\r\n',
  '*',
  '$',
  '-',
  '0',
  '1',
  '9',
  '12',
  ' ',
  '"',
  "'",
  '\\',
  '\0',
  '\xff',
  'x',
  ':',
  '\t',
  '+',
  '%',
  '~',
  '_',
]
const NUMBERS = [
  ...['0', '-1', '-0', '00', '01', '+1', ' 1', '1 ', '', 'x', '1x', '2', '3', '1048576', '1048577', '536870912', '536870913', '2147483647'],
  ...['2147483648', '4294967296', '9223372036854775807', '9223372036854775808', '-9223372036854775808', '1e3', '0x1', '1'.repeat(40)],
]

/** The same with up to three faults. */
export function brokenStream(random: Random): string {
  let stream = wholeStream(random)
  for (let faults = random.below(4); faults > 0; faults--) stream = fault(stream, random)
  return stream
}

function fault(stream: string, random: Random): string {
  const at = random.below(stream.length + 1)
  switch (random.below(8)) {
    case 0: {
      // A count or a length is another.
      const heads = [...stream.matchAll(/([*$])(-?\d+)\r\n/g)]
      if (heads.length === 0) return stream
      const { 0: all, 1: sign, index } = random.pick(heads)
      return `${stream.slice(0, index)}${sign}${random.pick(NUMBERS)}\r\n${stream.slice(index + all.length)}`
    }
    case 1: {
      const ends = [...stream.matchAll(/\r\n/g)]
      if (ends.length === 0) return stream
      const { index } = random.pick(ends)
      return stream.slice(0, index) + random.pick(['\r', '\n', '\n\r', '\r\r\n', '\r\n\r\n', 'xx', '']) + stream.slice(index + 2)
    }
    case 2: {
      const size = random.between(1, 20)
      return stream.slice(0, at + size) + stream.slice(at)
    }
    case 3:
      return stream.slice(0, at)
    default:
      return stream.slice(0, at) + random.pick(PIECES) + stream.slice(at + random.below(3))
  }
}
