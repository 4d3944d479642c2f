// The room `aof` by itself: a turn's records into the log, and a log read back.   node bench/log.bench.ts
//
// On the disk of the temporary directory, policy `no`: it is the work of this process that is timed, not the device.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { FileDisk } from '../src/aof/file-disk.ts'
import type { Log } from '../src/aof/log.ts'
import { openLogNow } from '../src/aof/recovery.ts'
import type { OpenLogOptions } from '../src/aof/recovery.ts'
import { encodeRequest } from '../test/support/raw-client.ts'
import { tempDir } from '../test/support/temp-dir.ts'
import { stopwatch } from './stopwatch.ts'

const root = tempDir()
const start = Date.now()
let records = 0

function open(name: string): Log {
  const options: OpenLogOptions = {
    disk: new FileDisk(),
    directory: join(root, name),
    holder: { pid: process.pid, host: 'bench', bootId: '', startedAt: '', version: '' },
    newNodeId: '00000000-0000-4000-8000-000000000000',
    now: start,
    sink: { record: () => records++ },
    log: { policy: 'no', minFreeBytes: 0 },
    events: {
      onAcked() {},
      onFailed(_from, _to, message) {
        throw new Error(message)
      },
      sealDigest: () => '-',
      onNote() {},
      onFatal(error) {
        throw error
      },
    },
  }
  return openLogNow(options).log
}

const close = (log: Log): Promise<void> =>
  new Promise((resolve, reject) => log.close((error) => (error === null ? resolve() : reject(error))))

const record = encodeRequest(['ORDER.RESERVED', '{u123456}01JA8Z', '1792000000000', '1792000600000', 'sku:iphone', '1', '99', '1'])

for (const perTurn of [1, 50, 800]) {
  const turn = Buffer.concat(Array.from({ length: perTurn }, () => record))
  const log = open(`turns of ${perTurn}`)
  const turns = Math.ceil(2000 / perTurn)
  let now = start
  stopwatch(
    `append and write, ${perTurn} records of ${record.length} bytes a turn`,
    turns * perTurn,
    () => {
      for (let i = 0; i < turns; i++) {
        log.append(turn, turn.length, perTurn, now)
        log.write()
      }
      log.tick(now++)
      return log.acked
    },
    turns * turn.length,
  )
  await close(log)
  rmSync(join(root, `turns of ${perTurn}`), { recursive: true })
}

// Written once; every opening reads and checks it whole.
const RECORDS = 400_000
const turn = Buffer.concat(Array.from({ length: 800 }, () => record))
const log = open('to read')
for (let i = 0; i < RECORDS / 800; i++) {
  log.append(turn, turn.length, 800, start)
  log.write()
}
await close(log)
for (let pass = 0; pass < 3; pass++) {
  records = 0
  const began = performance.now()
  const again = open('to read')
  const ms = performance.now() - began
  if (records !== RECORDS) throw new Error(`${records} records came back`)
  console.log(
    `open and read ${RECORDS.toLocaleString('en-US')} records: ${((ms * 1e6) / RECORDS).toFixed(1)} ns each, ${((RECORDS * record.length) / ms / 1e3).toFixed(0)} MB/s`,
  )
  await close(again)
}
