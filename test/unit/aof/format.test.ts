import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BATCH_LINE_BYTES_MAX, BatchLine, decodeBatchLine, encodeBatchLine, verifyBatch } from '../../../src/aof/format/batch-line.ts'
import { decodeCheckedLine } from '../../../src/aof/format/checked-line.ts'
import { crc32, hexOf } from '../../../src/aof/format/crc.ts'
import { logFileName, parseLogFileName } from '../../../src/aof/format/file-names.ts'
import { decodeManifest, encodeManifest, type Manifest } from '../../../src/aof/format/manifest.ts'
import { decodeMark, encodeDurable, encodeEnd, encodeFooter, encodeSeal } from '../../../src/aof/format/marks.ts'
import { decodeIdentity, encodeIdentity } from '../../../src/aof/format/node-identity.ts'
import { decodeHeader, encodeHeader } from '../../../src/aof/format/segment-header.ts'
import { encodeTimestampLine, timestampLineBytes, timestampLineSays } from '../../../src/aof/format/timestamp-line.ts'

const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const crc = fc.integer({ min: 0, max: 0xffffffff })

function link(fields: Partial<BatchLine>, body: Uint8Array): { bytes: Buffer; line: BatchLine } {
  const line = Object.assign(new BatchLine(), fields)
  const buffer = Buffer.concat([Buffer.alloc(BATCH_LINE_BYTES_MAX), body])
  const start = encodeBatchLine(line, buffer, BATCH_LINE_BYTES_MAX, buffer.length)
  return { bytes: buffer.subarray(start), line }
}

describe('a batch line', () => {
  it('reads as it was written, for all numbers and bodies', () => {
    fc.assert(
      fc.property(fc.tuple(number, number, number, number, number, number, crc), fc.uint8Array({ maxLength: 300 }), (n, body) => {
        const [epoch, incarnation, first, records, durable, time, previous] = n
        const { bytes, line } = link({ epoch, incarnation, first, records, durable, time, previous }, body)
        const read = new BatchLine()
        expect(decodeBatchLine(read, bytes, 0, bytes.length)).toBe(true)
        expect({ ...read }).toEqual({ ...line })
        expect(verifyBatch(read, bytes, 0)).toBe(true)
      }),
    )
  })

  it('looks as the format says', () => {
    const { bytes } = link(
      { epoch: 1, incarnation: 4, first: 10, records: 2, durable: 9, time: 1_700_000_000_000, previous: 0xabc },
      Buffer.from('body'),
    )
    expect(bytes.toString('latin1')).toMatch(/^#B1 e=1\.4 l=10 n=2 d=9 t=1700000000000 b=4 p=00000abc c=[0-9a-f]{8}\r\nbody$/)
  })

  it('is not read when a single bit of it or its body is another', () => {
    const { bytes } = link({ first: 10, records: 2, durable: 9, time: 5, previous: 7 }, Buffer.from('*1\r\n$2\r\nhi\r\n'))
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = Buffer.from(bytes)
      damaged[bit >> 3] ^= 1 << (bit & 7)
      const line = new BatchLine()
      const isWhole = decodeBatchLine(line, damaged, 0, damaged.length) && line.lineBytes + line.bodyBytes === damaged.length
      expect(isWhole && verifyBatch(line, damaged, 0), `bit ${bit}`).toBe(false)
    }
  })

  it('is not read when it is cut anywhere', () => {
    const { bytes, line } = link({ first: 1, records: 1 }, Buffer.from(''))
    for (let end = 0; end < line.lineBytes; end++) expect(decodeBatchLine(new BatchLine(), bytes, 0, end), `${end} bytes`).toBe(false)
  })

  it('takes no number that a writer would not write', () => {
    const { bytes } = link({ first: 12, records: 1 }, Buffer.from(''))
    for (const wrong of ['l=012', 'l=+12', 'l= 12', 'l=', 'l=99999999999999999', 'l=1e3', 'L=12', 'l=-12']) {
      const text = Buffer.from(bytes.toString('latin1').replace('l=12', wrong), 'latin1')
      expect(decodeBatchLine(new BatchLine(), text, 0, text.length), wrong).toBe(false)
    }
  })
})

describe('marks', () => {
  const marks = [
    encodeDurable(5, 1000, 0xff),
    encodeEnd(5, 1000, 0xff),
    encodeSeal({ last: 5, records: 5, digest: 'abc', previous: 0xff }),
    encodeFooter({ records: 5, last: 9, digest: 'abc', chain: 0x12, time: 1000, previous: 0xff }),
  ]

  it('read as they were written', () => {
    const kinds = marks.map(({ bytes, crc: c }) => {
      const line = decodeCheckedLine(bytes, 0, bytes.length)
      const mark = line === null ? null : decodeMark(line)
      expect(mark?.crc).toBe(c)
      expect(mark?.previous).toBe(0xff)
      return mark?.kind
    })
    expect(kinds).toEqual(['durable', 'end', 'seal', 'footer'])
  })

  it('are not read with a flipped bit, or cut', () => {
    for (const { bytes } of marks) {
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const damaged = Buffer.from(bytes)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        expect(decodeCheckedLine(damaged, 0, damaged.length), `${bytes.toString()} bit ${bit}`).toBeNull()
      }
      for (let end = 0; end < bytes.length; end++) expect(decodeCheckedLine(bytes, 0, end)).toBeNull()
    }
  })

  it('hold a digest without spaces whatever the engine says', () => {
    const { bytes } = encodeSeal({ last: 5, records: 5, digest: 'a b\r\n', previous: 0 })
    expect(bytes.toString()).toContain('digest=- ')
  })
})

describe('a time line', () => {
  it('says its second and no other', () => {
    const bytes = Buffer.alloc(32)
    const start = encodeTimestampLine(bytes, 32, 1_700_000_000)
    expect(bytes.toString('latin1', start)).toBe('#TS:1700000000\r\n')
    expect(timestampLineBytes(bytes, start, 32)).toBe(16)
    expect(timestampLineSays(bytes, start, 16, 1_700_000_000)).toBe(true)
    for (const other of [1_700_000_001, 170_000_000, 17_000_000_000, 0]) expect(timestampLineSays(bytes, start, 16, other)).toBe(false)
    expect(timestampLineBytes(bytes, start, 31)).toBe(0)
  })
})

describe('a header', () => {
  const segment = { kind: 'incr', node: 'n-1', seq: 3, previous: 0xbeef, createdAt: 17 } as const

  it('reads as it was written', () => {
    expect(decodeHeader(encodeHeader(segment).bytes)).toMatchObject(segment)
    expect(decodeHeader(encodeHeader({ ...segment, kind: 'base', previous: 0 }).bytes)).toMatchObject({ kind: 'base', seq: 3 })
  })

  it('of a newer format is refused by name', () => {
    const { bytes } = encodeHeader(segment)
    const newer = withChecksum(bytes.toString('latin1').slice(0, -12).replace('#V1 min=1', '#V2 min=2'))
    expect(() => decodeHeader(newer)).toThrow(/newer stockd.*reads >= V2/)
  })
})

/** A line that is right, only new. */
function withChecksum(covered: string): Buffer {
  const bytes = Buffer.from(covered, 'latin1')
  return Buffer.concat([bytes, Buffer.from(`c=${hexOf(crc32(bytes, 0, bytes.length, 0))}\r\n`)])
}

describe('the manifest', () => {
  const manifest: Manifest = {
    entries: [
      { name: 'appendonly.aof.7.base.aof', seq: 7, type: 'b', first: 1, bytes: 900, sealed: { last: 40, crc: 5, digest: 'd1' }, cut: null },
      { name: 'appendonly.aof.2.incr.aof', seq: 2, type: 'h', first: 1, bytes: 500, sealed: { last: 40, crc: 6, digest: 'd1' }, cut: null },
      { name: 'appendonly.aof.8.incr.aof', seq: 8, type: 'i', first: 41, bytes: 120, sealed: null, cut: 120 },
      { name: 'appendonly.aof.9.incr.aof', seq: 9, type: 'i', first: 41, bytes: 100, sealed: null, cut: null },
    ],
  }

  it('reads as it was written', () => {
    expect(decodeManifest(encodeManifest(manifest))).toEqual(manifest)
    expect(decodeManifest(encodeManifest({ entries: [] }))).toEqual({ entries: [] })
  })

  it('is refused with any flipped bit', () => {
    const bytes = encodeManifest(manifest)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = Buffer.from(bytes)
      damaged[bit >> 3] ^= 1 << (bit & 7)
      expect(() => decodeManifest(damaged), `bit ${bit}`).toThrow(/manifest cannot be used/)
    }
  })

  it('is refused when it is cut anywhere', () => {
    const bytes = encodeManifest(manifest)
    for (let end = 0; end < bytes.length; end++) expect(() => decodeManifest(bytes.subarray(0, end))).toThrow(/manifest cannot be used/)
  })

  it('of plain Redis is sent to import', () => {
    expect(() => decodeManifest(Buffer.from('file appendonly.aof.1.base.rdb seq 1 type b\n'))).toThrow(/stockd-aof import/)
  })
})

describe('node.json', () => {
  const identity = { format: 1, clusterId: 'shop', nodeId: 'a-b-1', createdAt: 123 }

  it('reads as it was written', () => {
    expect(decodeIdentity(encodeIdentity(identity))).toEqual(identity)
  })

  it('is refused with any flipped bit', () => {
    const bytes = encodeIdentity(identity)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = Buffer.from(bytes)
      damaged[bit >> 3] ^= 1 << (bit & 7)
      expect(() => decodeIdentity(damaged), `bit ${bit}`).toThrow(/node.json/)
    }
  })
})

describe('file names', () => {
  it('are read back, and nothing else is', () => {
    expect(parseLogFileName(logFileName('incr', 12))).toEqual({ kind: 'incr', seq: 12 })
    for (const name of [
      'appendonly.aof.0.incr.aof',
      'appendonly.aof.01.incr.aof',
      'appendonly.aof.1.incr.aof.tmp',
      'x',
      'appendonly.aof.manifest',
    ]) {
      expect(parseLogFileName(name)).toBeNull()
    }
  })
})
