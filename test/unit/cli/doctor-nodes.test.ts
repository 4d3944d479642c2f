// What doctor says of nodes that share a database, and of a database that nobody writes into.

import { describe, expect, it } from 'vitest'
import { nodeFindings, silenceFinding, wayFindings, type NodeVisit, type StoreVisit } from '../../../src/cli/orders/doctor-nodes.ts'
import { consumerFinding } from '../../../src/orders/broker/amqp/examination.ts'
import type { NodeStatus, NodeView } from '../../../src/orders/reconcile/node-view.ts'
import type { Cursor } from '../../../src/orders/store/store.ts'

const NOW = 1_800_000_000_000
const NONE = new Array<number>(16).fill(0)

function visit(name: string, stream: string, runId = name): NodeVisit {
  const status: NodeStatus = {
    ...{ stream, sink: 'amqp', state: 'connected', isConnected: true, last: NONE, published: NONE, acked: NONE, stored: NONE },
    ...{ lastLsn: 0, lagMs: 0, backlogBytes: 0, backlogBytesMax: 0 },
  }
  const facts = { version: '0', runId, now: NOW, returnWindowMs: 0, orderRetentionMs: 0 }
  return { node: { name } as NodeView, facts, first: status, second: status, skewMs: 0 }
}

const cursor = (stream: string, pseq: number): Cursor => ({ stream, part: 3, pseq, first: 1, updatedAt: NOW })

function database(first: readonly Cursor[] = [], second = first, consumers: StoreVisit['consumers'] = []): StoreVisit {
  return { store: { kind: 'mysql', name: 'mysql://db' }, first, second, consumers, now: NOW }
}

const errorsOf = (visits: readonly NodeVisit[], store: StoreVisit): string[] =>
  wayFindings(visits, store, null).flatMap(({ level, says }) => (level === 'error' ? [says] : []))

describe('doctor', () => {
  it('notices two nodes with one node number', () => {
    const [a, b] = [visit('a:1', 'n0_aaaaaaaa-1'), visit('b:1', 'n0_bbbbbbbb-1')]
    expect(errorsOf([a, b], database())).toEqual(['both have node number 0: they may make the same order id'])
    expect(errorsOf([a, visit('b:1', 'n1_bbbbbbbb-1')], database())).toEqual([])
    // One node, named twice.
    expect(errorsOf([visit('localhost:1', 'n0_aaaaaaaa-1', 'run'), visit('127.0.0.1:1', 'n0_aaaaaaaa-1', 'run')], database())).toEqual([])
    expect(nodeFindings(a).filter(({ level }) => level === 'error')).toEqual([])
  })

  it('notices two nodes that go on with copies of one log', () => {
    const [says] = errorsOf([visit('a:1', 'n0_aaaaaaaa-1'), visit('b:1', 'n0_aaaaaaaa-2')], database())
    expect(says).toContain('both go on with one log (n0_aaaaaaaa), one with a copy')
  })

  it('notices nodes of one number in the database, without asking them', () => {
    const before = [cursor('n0_aaaaaaaa-1', 5), cursor('n0_bbbbbbbb-1', 5)]
    const both = [cursor('n0_aaaaaaaa-1', 6), cursor('n0_bbbbbbbb-1', 7)]
    expect(errorsOf([], database(before, both))).toEqual([
      'events of several nodes of number 0 are being stored (n0_aaaaaaaa-1, n0_bbbbbbbb-1): they may make the same order id',
    ])
    // A log that was thrown away leaves a stream that stands still; a new epoch is no other node.
    expect(errorsOf([], database(before, [before[0], both[1]]))).toEqual([])
    expect(errorsOf([], database([], [cursor('n0_aaaaaaaa-1', 6), cursor('n0_aaaaaaaa-2', 1)]))).toEqual([])
    const [found] = wayFindings([visit('a:1', 'n0_aaaaaaaa-1')], database([cursor('n0_bbbbbbbb-1', 5)]), null).filter(
      ({ level }) => level === 'warning',
    )
    expect(found.says).toContain('stream n0_bbbbbbbb-1 has node number 0, as node a:1 has')
  })

  it('notices that no consumer runs, although no event waits', () => {
    const all = (depth: number, consumers: number) => Array.from({ length: 16 }, () => ({ depth, consumers }))
    expect(consumerFinding(all(2, 1))).toMatchObject({ level: 'ok', says: '32 events wait for a consumer' })
    expect(consumerFinding(all(0, 0))).toMatchObject({ level: 'warning', says: 'no consumer runs: orders to come will wait there' })
    expect(consumerFinding(all(2, 0))).toMatchObject({ level: 'error', says: 'no consumer runs: 32 events wait there' })
    const some = all(1, 1).with(4, { depth: 1, consumers: 0 })
    expect(consumerFinding(some)).toMatchObject({ level: 'error', says: 'nobody takes from the queue of part 4: 1 event waits there' })
  })

  it('notices by the database that no consumer runs, where the broker is not asked', () => {
    const seen = (agoMs: number) => silenceFinding(database([], [], [{ name: 'c1', seenAt: NOW - agoMs }]))
    expect(seen(5000)).toBeNull()
    expect(seen(3_600_000)).toMatchObject({
      level: 'warning',
      says: expect.stringContaining('no consumer runs: the last one was there at') as string,
    })
    expect(silenceFinding(database())).toMatchObject({ says: 'no consumer has ever run on it' })
    expect(silenceFinding(database([], [], null))).toBeNull()
  })
})
