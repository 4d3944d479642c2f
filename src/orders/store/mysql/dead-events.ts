// The events that could not be stored, in one database: written in the transaction that passes them, kept until somebody decides.

import type { DeadRow } from '../rows.ts'
import { StoreError } from '../store-error.ts'
import type { DeadEvent, StreamPart } from '../store.ts'
import type { Database } from './layout.ts'
import { streamKey } from './ledger-tables.ts'
import { inserts } from './order-tables.ts'
import { bytes, int, name, text, type Row, type Session } from './server.ts'
import { literal, tuple } from './sql-text.ts'

const COLUMNS = 'stream, part, pseq, code, reason, payload, first_seen, replays, state, note, changed_at'
const CODE_LENGTH_MAX = 64

export const eventKey = ({ stream, part }: StreamPart, pseq: number): string =>
  `stream = ${streamKey(stream)} AND part = ${part} AND pseq = ${literal(pseq)}`

/** Nothing here may fail for what the event holds: this is where it goes when everything else has. */
export function deadStatements(database: Database, { stream, part }: StreamPart, dead: readonly DeadRow[], now: number): string[] {
  const rows = dead.map(({ pseq, code, reason, payload }) =>
    tuple([Buffer.from(stream, 'utf8'), part, pseq, plain(code), Buffer.from(reason, 'utf8'), payload, now, 0, 'dead', null, now]),
  )
  return inserts(database.single('dead_events'), COLUMNS, rows)
}

const plain = (code: string): string => code.replaceAll(/[^ -~]/g, '?').slice(0, CODE_LENGTH_MAX)

export async function readDeadEvents(session: Session, database: Database, where: string): Promise<DeadEvent[]> {
  return (await session.rows(`SELECT ${COLUMNS} FROM ${database.single('dead_events')} WHERE ${where}`)).map(deadEventOf)
}

/** The dead event, locked. @throws StoreError in words if there is nothing to be decided */
export async function deadToChange(session: Session, database: Database, at: StreamPart, pseq: number): Promise<DeadEvent> {
  const [dead] = await readDeadEvents(session, database, `${eventKey(at, pseq)} FOR UPDATE`)
  const where = `${at.stream}, part ${at.part}, event ${pseq}`
  if (dead === undefined) throw new StoreError('poison', 'DEAD', `${where} is not among the dead events`)
  if (dead.state === 'replayed') throw new StoreError('poison', 'DEAD', `${where} has been replayed already`)
  return dead
}

export function replayedStatement(database: Database, at: StreamPart, pseq: number, now: number): string {
  return `UPDATE ${database.single('dead_events')} SET state = 'replayed', replays = replays + 1, changed_at = ${now}
    WHERE ${eventKey(at, pseq)} AND state <> 'replayed'`
}

export function failedReplayStatement(
  database: Database,
  at: StreamPart,
  pseq: number,
  failure: { error: StoreError; now: number },
): string {
  const { error, now } = failure
  return `UPDATE ${database.single('dead_events')} SET replays = replays + 1, code = ${literal(plain(error.code))},
    reason = ${literal(Buffer.from(error.message, 'utf8'))}, changed_at = ${now} WHERE ${eventKey(at, pseq)} AND state = 'dead'`
}

function deadEventOf(row: Row): DeadEvent {
  const state = text(row.state)
  return {
    stream: name(row.stream),
    part: int(row.part),
    pseq: int(row.pseq),
    code: text(row.code),
    reason: text(row.reason),
    payload: bytes(row.payload),
    firstSeen: int(row.first_seen),
    replays: int(row.replays),
    state: state === 'replayed' || state === 'discarded' ? state : 'dead',
    note: row.note === null ? null : text(row.note),
  }
}
