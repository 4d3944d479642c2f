// BLPOP, BZPOPMIN and their like: they take from a list or a sorted set what is there, and wait if there is nothing.

import type { Call } from '../../engine/call.ts'
import { type CommandSpec, NO_KEYS } from '../../engine/command.ts'
import { countedKeysFrom, keyAt, keysFrom } from '../../engine/key-specs.ts'
import { LISTS, TWO_KEYS, countedKeys, endArgument, manyKeys, moveOne, popOne, popSome } from '../../engine/commands/list-moves.ts'
import { timeoutArgument } from '../../engine/commands/instants.ts'
import { SORTED_SETS, parseManyPop, popOne as popElement, popMany as popElements } from '../../engine/commands/sorted-sets/pops.ts'
import type { Reply } from '../../resp/reply.ts'
import type { Node } from '../node.ts'

const nilArray = (reply: Reply): void => reply.nilArray()
const nil = (reply: Reply): void => reply.nil()

const waits = { flags: ['write', 'noscript', 'blocking'], categories: ['write', 'list', 'slow', 'blocking'], group: 'list' } as const
const waitsForSet = { ...waits, categories: ['write', 'sortedset', 'slow', 'blocking'], group: 'sorted-set' } as const
const KEYS_BEFORE_LAST = { first: 1, last: -2, step: 1 }

interface Pop {
  /** The arguments that are keys. */
  readonly first: number
  readonly last: number
  readonly kind: number
  /** The argument that says how long it waits. */
  readonly timeout: number
  /** Pops from argument `key` and answers. @returns false if there was nothing. */
  readonly serve: (call: Call, key: number) => boolean
}

export function blockingCommands(node: Node): CommandSpec[] {
  /** Serves the first key that has something, or waits for one. */
  function popOrWait(call: Call, { first, last, kind, timeout, serve }: Pop): void {
    const ms = timeoutArgument(call, timeout)
    if (ms === undefined) return
    const keys = Array.from({ length: last - first + 1 }, (_, k) => first + k)
    for (const key of keys) if (serve(call, key)) return
    node.keyWaiters.wait(call, { keys, kind, ms, serve, inVain: nilArray })
  }

  function popFirst(call: Call, isHead: boolean): void {
    const timeout = call.request.argc - 1
    popOrWait(call, { first: 1, last: timeout - 1, kind: LISTS, timeout, serve: (later, key) => popOne(later, key, isHead) })
  }

  function popFirstElement(call: Call, isMax: boolean): void {
    const timeout = call.request.argc - 1
    popOrWait(call, { first: 1, last: timeout - 1, kind: SORTED_SETS, timeout, serve: (later, key) => popElement(later, key, key, isMax) })
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
      keySpecs: [keysFrom(1, 'RW access delete', { last: -2 })],
      since: '2.0.0',
      complexity: 'O(N), N keys',
      syntax: 'key [key ...] timeout:double',
      summary: 'Takes the first element of the first list that is there, or waits for one.',
      run: (call) => popFirst(call, true),
    },
    {
      ...waits,
      name: 'BRPOP',
      arity: -3,
      keys: KEYS_BEFORE_LAST,
      keySpecs: [keysFrom(1, 'RW access delete', { last: -2 })],
      since: '2.0.0',
      complexity: 'O(N), N keys',
      syntax: 'key [key ...] timeout:double',
      summary: 'Takes the last element of the first list that is there, or waits for one.',
      run: (call) => popFirst(call, false),
    },
    {
      ...waits,
      name: 'BLMPOP',
      arity: -5,
      flags: ['write', 'blocking', 'movablekeys'],
      keys: NO_KEYS,
      keySpecs: [countedKeysFrom(2, 'RW access delete')],
      keysOf: (request) => countedKeys(request, 2),
      since: '7.0.0',
      complexity: 'O(N+M), N keys, M elements returned',
      syntax: 'timeout:double numkeys key [key ...] <LEFT | RIGHT> [COUNT count]',
      summary: 'Takes elements from an end of the first list that is there, or waits for one.',
      run(call) {
        const asked = manyKeys(call, 2)
        if (asked === undefined) return
        const { first, last, isHead, count } = asked
        popOrWait(call, { first, last, kind: LISTS, timeout: 1, serve: (later, key) => popSome(later, key, isHead, count) })
      },
    },
    {
      ...waits,
      name: 'BLMOVE',
      arity: 6,
      flags: ['write', 'denyoom', 'noscript', 'blocking'],
      keys: TWO_KEYS,
      keySpecs: [keyAt(1, 'RW access delete'), keyAt(2, 'RW insert')],
      since: '6.2.0',
      complexity: 'O(1)',
      syntax: 'source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout:double',
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
      keySpecs: [keyAt(1, 'RW access delete'), keyAt(2, 'RW insert')],
      since: '2.2.0',
      complexity: 'O(1)',
      syntax: 'source destination timeout:double',
      summary: 'Moves the last element of a list to the head of another, or waits for one; BLMOVE is the newer form.',
      run: (call) => moveOrWait(call, false, true, 3),
    },
    {
      ...waitsForSet,
      name: 'BZPOPMIN',
      arity: -3,
      flags: ['write', 'noscript', 'blocking', 'fast'],
      categories: ['write', 'sortedset', 'fast', 'blocking'],
      keys: KEYS_BEFORE_LAST,
      keySpecs: [keysFrom(1, 'RW access delete', { last: -2 })],
      since: '5.0.0',
      complexity: 'O(log N), N elements of the set',
      syntax: 'key [key ...] timeout:double',
      summary: 'Takes the element with the lowest score from the first sorted set that is there, or waits for one.',
      run: (call) => popFirstElement(call, false),
    },
    {
      ...waitsForSet,
      name: 'BZPOPMAX',
      arity: -3,
      flags: ['write', 'noscript', 'blocking', 'fast'],
      categories: ['write', 'sortedset', 'fast', 'blocking'],
      keys: KEYS_BEFORE_LAST,
      keySpecs: [keysFrom(1, 'RW access delete', { last: -2 })],
      since: '5.0.0',
      complexity: 'O(log N), N elements of the set',
      syntax: 'key [key ...] timeout:double',
      summary: 'Takes the element with the highest score from the first sorted set that is there, or waits for one.',
      run: (call) => popFirstElement(call, true),
    },
    {
      ...waitsForSet,
      name: 'BZMPOP',
      arity: -5,
      flags: ['write', 'blocking', 'movablekeys'],
      keys: NO_KEYS,
      keySpecs: [countedKeysFrom(2, 'RW access delete')],
      keysOf: (request) => countedKeys(request, 2),
      since: '7.0.0',
      complexity: 'O(K + M * log N), K keys, N elements of the set, M removed',
      syntax: 'timeout:double numkeys key [key ...] <MIN | MAX> [COUNT count]',
      summary: 'Takes elements from an end of the first sorted set that is there, or waits for one.',
      run(call) {
        const asked = parseManyPop(call, 2)
        if (asked === undefined) return
        const serve = (later: Call, key: number): boolean => popElements(later, { ...asked, first: key, last: key })
        popOrWait(call, { ...asked, kind: SORTED_SETS, timeout: 1, serve })
      },
    },
  ]
}
