// BLPOP and its like: they take from a list what is there, and wait if there is nothing.

import type { Call } from '../../engine/call.ts'
import { type CommandSpec, NO_KEYS } from '../../engine/command.ts'
import { LISTS, TWO_KEYS, countedKeys, endArgument, manyKeys, moveOne, popOne, popSome } from '../../engine/commands/list-moves.ts'
import { timeoutArgument } from '../../engine/commands/instants.ts'
import type { Reply } from '../../resp/reply.ts'
import type { Node } from '../node.ts'

const nilArray = (reply: Reply): void => reply.nilArray()
const nil = (reply: Reply): void => reply.nil()

const waits = { flags: ['write', 'noscript', 'blocking'], categories: ['write', 'list', 'slow', 'blocking'], group: 'list' } as const
const KEYS_BEFORE_LAST = { first: 1, last: -2, step: 1 }

export function blockingCommands(node: Node): CommandSpec[] {
  /** Serves the first key that has something, or waits for one. */
  function popOrWait(call: Call, keys: readonly number[], timeout: number, serve: (call: Call, key: number) => boolean): void {
    const ms = timeoutArgument(call, timeout)
    if (ms === undefined) return
    for (const key of keys) if (serve(call, key)) return
    node.keyWaiters.wait(call, { keys, kind: LISTS, ms, serve, inVain: nilArray })
  }

  function popFirst(call: Call, isHead: boolean): void {
    const timeout = call.request.argc - 1
    const keys = Array.from({ length: timeout - 1 }, (_, k) => k + 1)
    popOrWait(call, keys, timeout, (later, key) => popOne(later, key, isHead))
  }

  function moveOrWait(call: Call, fromHead: boolean, toHead: boolean, timeout: number): void {
    const ms = timeoutArgument(call, timeout)
    if (ms === undefined || moveOne(call, fromHead, toHead)) return
    const serve = (later: Call): boolean => moveOne(later, fromHead, toHead)
    node.keyWaiters.wait(call, { keys: [1], kind: LISTS, ms, serve, inVain: nil })
  }

  return [
    {
      ...waits,
      name: 'BLPOP',
      arity: -3,
      keys: KEYS_BEFORE_LAST,
      since: '2.0.0',
      complexity: 'O(N), N keys',
      syntax: 'key [key ...] timeout',
      summary: 'Takes the first element of the first list that is there, or waits for one.',
      run: (call) => popFirst(call, true),
    },
    {
      ...waits,
      name: 'BRPOP',
      arity: -3,
      keys: KEYS_BEFORE_LAST,
      since: '2.0.0',
      complexity: 'O(N), N keys',
      syntax: 'key [key ...] timeout',
      summary: 'Takes the last element of the first list that is there, or waits for one.',
      run: (call) => popFirst(call, false),
    },
    {
      ...waits,
      name: 'BLMPOP',
      arity: -5,
      flags: ['write', 'blocking', 'movablekeys'],
      keys: NO_KEYS,
      keysOf: (request) => countedKeys(request, 2),
      since: '7.0.0',
      complexity: 'O(N+M), N keys, M elements returned',
      syntax: 'timeout numkeys key [key ...] LEFT | RIGHT [COUNT count]',
      summary: 'Takes elements from an end of the first list that is there, or waits for one.',
      run(call) {
        const asked = manyKeys(call, 2)
        if (asked === undefined) return
        const { first, last, isHead, count } = asked
        const keys = Array.from({ length: last - first + 1 }, (_, k) => first + k)
        popOrWait(call, keys, 1, (later, key) => popSome(later, key, isHead, count))
      },
    },
    {
      ...waits,
      name: 'BLMOVE',
      arity: 6,
      flags: ['write', 'denyoom', 'noscript', 'blocking'],
      keys: TWO_KEYS,
      since: '6.2.0',
      complexity: 'O(1)',
      syntax: 'source destination LEFT | RIGHT LEFT | RIGHT timeout',
      summary: 'Moves an element from an end of a list to an end of another, or waits for one.',
      run(call) {
        const fromHead = endArgument(call, 3)
        if (fromHead === undefined) return
        const toHead = endArgument(call, 4)
        if (toHead !== undefined) moveOrWait(call, fromHead, toHead, 5)
      },
    },
    {
      ...waits,
      name: 'BRPOPLPUSH',
      arity: 4,
      flags: ['write', 'denyoom', 'noscript', 'blocking'],
      keys: TWO_KEYS,
      since: '2.2.0',
      complexity: 'O(1)',
      syntax: 'source destination timeout',
      summary: 'Moves the last element of a list to the head of another, or waits for one; BLMOVE is the newer form.',
      run: (call) => moveOrWait(call, false, true, 3),
    },
  ]
}
