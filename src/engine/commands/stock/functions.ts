// FCALL STOCK.X 1 key ... is STOCK.X key ...: cluster clients know which argument of FCALL is the key, and route it to its owner.
// There are no other functions; FUNCTION answers what a client asks in passing.

import { parseInt64 } from '../../../base/decimal.ts'
import { SYNTAX, wrongArity } from '../../../resp/errors.ts'
import { Request } from '../../../resp/request.ts'
import type { Call } from '../../call.ts'
import { type CommandSpec, CommandTable, type InnerCommand, NO_KEYS } from '../../command.ts'
import { countedKeysFrom } from '../../key-specs.ts'

const HEADER = 3

const HELP = [
  'FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are:',
  'FLUSH [ASYNC|SYNC]',
  '    Is accepted: there are no libraries to delete.',
  'LIST [LIBRARYNAME PATTERN] [WITHCODE]',
  '    Is an empty list. FCALL STOCK.X 1 key ... calls STOCK.X, as it is.',
  'HELP',
  '    Prints this help.',
]

/** Runs the STOCK command that an FCALL names, as if it had come by itself. */
class FunctionCall {
  readonly #table: CommandTable
  /** The request as the command sees it: the same bytes, other offsets. */
  readonly #inner = new Request()

  constructor(commands: readonly CommandSpec[]) {
    this.#table = new CommandTable(commands)
  }

  /** The command that this request names, with its arguments; null: there is none, or they are too few. */
  commandOf(request: Request): InnerCommand | null {
    const spec = this.#table.get(request.latin1(1))
    return spec === null ? null : { spec, request: this.#innerOf(request) }
  }

  /** Valid until the next one is asked for. */
  #innerOf(request: Request): Request {
    const inner = this.#inner
    inner.bytes = request.bytes
    inner.argc = request.argc - HEADER + 1
    inner.reserve(inner.argc)
    inner.start[0] = request.start[1]
    inner.end[0] = request.end[1]
    for (let i = 1; i < inner.argc; i++) {
      inner.start[i] = request.start[i + HEADER - 1]
      inner.end[i] = request.end[i + HEADER - 1]
    }
    return inner
  }

  run(call: Call, isReadOnly: boolean): void {
    const { request, reply, spec } = call
    const target = this.#table.get(request.latin1(1))
    if (target === null) return reply.error('ERR Function not found')
    const keys = parseInt64(request.bytes, request.start[2], request.end[2])
    if (keys === undefined) return reply.error('ERR Bad number of keys provided')
    if (keys < 0n) return reply.error("ERR Number of keys can't be negative")
    if (keys > BigInt(request.argc - HEADER)) return reply.error("ERR Number of keys can't be greater than number of args")
    const isRead = target.flags.includes('readonly')
    if (isReadOnly && !isRead) return reply.error('ERR Can not execute a script with write flag using *_ro command.')
    if (keys !== (request.argc > HEADER && target.keys !== NO_KEYS ? 1n : 0n))
      return reply.error(`ERR ${target.name} has another number of keys`)
    const inner = this.#innerOf(request)
    const { arity } = target
    if (arity >= 0 ? inner.argc !== arity : inner.argc < -arity) return reply.error(wrongArity(target.name.toLowerCase()))
    call.request = inner
    call.spec = target
    target.run(call)
    call.request = request
    call.spec = spec
  }
}

/** The commands by which the given ones can be called as functions. */
export function functionCommands(stock: readonly CommandSpec[]): readonly CommandSpec[] {
  const functions = new FunctionCall(stock)
  const keysOf = (request: Request): number[] => (request.argc > HEADER && request.latin1(2) === '1' ? [HEADER] : [])
  return [
    {
      name: 'FCALL',
      arity: -3,
      flags: ['write', 'noscript', 'stale', 'skip_monitor', 'movablekeys', 'no_mandatory_keys'],
      keys: NO_KEYS,
      keySpecs: [countedKeysFrom(2, 'RW access update')],
      keysOf,
      runs: (request) => functions.commandOf(request),
      categories: ['slow', 'scripting'],
      group: 'scripting',
      since: '7.0.0',
      complexity: 'Depends on the function that is executed.',
      summary: 'Invokes a function: STOCK.X, which is the command of that name.',
      syntax: 'function numkeys [key [key ...]] [arg [arg ...]]',
      run: (call) => functions.run(call, false),
    },
    {
      name: 'FCALL_RO',
      arity: -3,
      flags: ['readonly', 'noscript', 'stale', 'skip_monitor', 'movablekeys', 'no_mandatory_keys'],
      keys: NO_KEYS,
      keySpecs: [countedKeysFrom(2, 'RO access')],
      keysOf,
      runs: (request) => functions.commandOf(request),
      categories: ['slow', 'scripting'],
      group: 'scripting',
      since: '7.0.0',
      complexity: 'Depends on the function that is executed.',
      summary: 'Invokes a function that only reads: STOCK.GET, STOCK.INFO and the like.',
      syntax: 'function numkeys [key [key ...]] [arg [arg ...]]',
      run: (call) => functions.run(call, true),
    },
    {
      name: 'FUNCTION',
      arity: -2,
      flags: [],
      keys: NO_KEYS,
      categories: ['slow'],
      group: 'scripting',
      since: '7.0.0',
      complexity: 'Depends on subcommand.',
      summary: 'Functions: none can be loaded, the STOCK commands are built in',
      syntax: '',
      subcommands: [
        {
          name: 'FLUSH',
          arity: -2,
          flags: ['noscript'],
          keys: NO_KEYS,
          categories: ['write', 'slow', 'scripting'],
          group: 'scripting',
          since: '7.0.0',
          tips: 'request_policy:all_shards response_policy:all_succeeded',
          complexity: 'O(1)',
          summary: 'Deletes all functions that were loaded: there are none.',
          syntax: '[ASYNC | SYNC]',
          run: ({ request, reply }) => {
            const isPlain = request.argc === 2 || (request.argc === 3 && (request.is(2, 'ASYNC') || request.is(2, 'SYNC')))
            if (isPlain) reply.ok()
            else reply.error(request.argc === 3 ? 'ERR FUNCTION FLUSH only supports SYNC|ASYNC option' : SYNTAX)
          },
        },
        {
          name: 'LIST',
          arity: -2,
          flags: ['noscript'],
          keys: NO_KEYS,
          categories: ['slow', 'scripting'],
          group: 'scripting',
          since: '7.0.0',
          tips: 'nondeterministic_output_order',
          complexity: 'O(1)',
          summary: 'Lists the functions that were loaded: there are none.',
          syntax: '[LIBRARYNAME library-name-pattern] [WITHCODE]',
          run: ({ reply }) => reply.array(0),
        },
        {
          name: 'HELP',
          arity: 2,
          flags: ['loading', 'stale'],
          keys: NO_KEYS,
          categories: ['slow', 'scripting'],
          group: 'scripting',
          since: '7.0.0',
          complexity: 'O(1)',
          summary: 'The subcommands of FUNCTION.',
          syntax: '',
          run({ reply }) {
            reply.array(HELP.length)
            for (const line of HELP) reply.simple(line)
          },
        },
      ],
      run: ({ reply }) => reply.error(wrongArity('function')),
    },
  ]
}
