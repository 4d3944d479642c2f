// Every format that was ever released opens for ever. `test/fixtures/aof/v<n>` is a directory as a node of that format left it, and
// `digest.txt` in it the digest of its state then.
//
// v1 was made by `node test/fixtures/aof/write-fixture.ts test/fixtures/aof/v1`. Before 0.1.0 is released it may be made again with
// `--again`, when a record or a digest changes on purpose; from then on a failure here means that users' directories do not open.

import { cpSync, readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { FileDisk } from '../../src/aof/file-disk.ts'
import { openLogNow, type OpenedLog } from '../../src/aof/recovery.ts'
import { Call } from '../../src/engine/call.ts'
import { Engine } from '../../src/engine/engine.ts'
import { Reply } from '../../src/resp/reply.ts'
import { Request } from '../../src/resp/request.ts'
import { ReplaySink } from '../../src/server/replay-sink.ts'
import { tempDir } from '../support/temp-dir.ts'

const FIXTURES = fileURLToPath(new URL('../fixtures/aof/', import.meta.url))

function open(directory: string): OpenedLog & { engine: Engine } {
  const engine = new Engine()
  const opened = openLogNow({
    disk: new FileDisk(),
    directory,
    holder: { pid: process.pid, host: 'test', bootId: '-', startedAt: '-', version: '-' },
    newNodeId: 'not-needed',
    now: 1_800_000_000_000,
    sink: new ReplaySink(engine),
    log: { minFreeBytes: 0 },
    events: { onAcked() {}, onFailed() {}, sealDigest: () => engine.sealDigest(), onNote() {}, onFatal() {} },
  })
  return { ...opened, engine }
}

const close = ({ log }: OpenedLog): Promise<Error | null> => new Promise((resolve) => log.close(resolve))

function ask(engine: Engine, ...args: string[]): string {
  const reply = new Reply()
  engine.execute(new Call(engine, new Request().set(args), reply, { database: 0 }))
  return reply.buffer.toString('latin1', 0, reply.length)
}

describe.each(readdirSync(FIXTURES).filter((name) => /^v\d+$/.test(name)))('a directory of format %s', (name) => {
  it('opens with the state that it had, is written to, and opens again', async () => {
    const directory = `${tempDir()}/data`
    cpSync(`${FIXTURES}${name}`, directory, { recursive: true })
    const digest = readFileSync(`${directory}/digest.txt`, 'utf8').trim()
    const first = open(directory)
    expect(first.inspection).toMatchObject({ clean: true, damage: null })
    expect(first.engine.digest()).toBe(digest)
    expect(await close(first)).toBeNull()
    const second = open(directory)
    expect(second.engine.digest()).toBe(digest)
    expect(await close(second)).toBeNull()
  })
})

describe('the state of format v1', () => {
  it('is what was sold and stored then', async () => {
    const directory = `${tempDir()}/data`
    cpSync(`${FIXTURES}v1`, directory, { recursive: true })
    const opened = open(directory)
    const { engine } = opened
    expect(ask(engine, 'GET', 'greeting')).toBe('$5\r\nhello\r\n')
    expect(ask(engine, 'GET', 'counter')).toBe('$2\r\n42\r\n')
    expect(ask(engine, 'EXISTS', 'far', 'late', 'padded', 'renamed')).toBe(':1\r\n')
    expect(ask(engine, 'STOCK.GET', 'book')).toBe(':12\r\n')
    expect(ask(engine, 'STOCK.ORDER', '{ann}1')).toContain('RETURNED')
    expect(ask(engine, 'STOCK.ORDER', '{dan}1')).toContain('RESERVED')
    expect(ask(engine, 'TYPE', 'gone')).toBe('+none\r\n')
    await close(opened)
  })
})
