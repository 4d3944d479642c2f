// The stream commands that write, or read for a consumer group: refused. They exist so that a client hears why.
//
// On stock:events they answer READONLY, whatever else they say; on a key of another type WRONGTYPE; on any other key that there are no
// other streams. None of them changes anything.

import type { Call } from '../../../engine/call.ts'
import { NO_KEYS } from '../../../engine/command.ts'
import { keyAt, keysBehind } from '../../../engine/key-specs.ts'
import type { CommandSpec, KeyRange } from '../../../engine/command.ts'
import { EVENTS_READ_ONLY, isEventsKey, NO_STREAM, streamKey } from '../../../engine/commands/key-access.ts'
import { SYNTAX, WRONG_TYPE } from '../../../resp/errors.ts'
import { categoriesOf, container } from '../keyless.ts'
import { streamKeys } from './reading.ts'

const NO_OTHER_STREAMS = 'ERR streams other than stock:events are not supported'

const NO_GROUPS_HELP = [
  '(any subcommand)',
  '    Is refused: stock:events has no consumer groups. Read it with XREAD, and remember the last id.',
]

type Refused = Pick<CommandSpec, 'name' | 'arity' | 'flags' | 'keySpecs' | 'since' | 'tips' | 'syntax' | 'summary'>

/** A command whose first key is argument `at`. */
function refused(at: number, spec: Refused): CommandSpec {
  const keys: KeyRange = { first: at, last: at, step: 1 }
  return {
    ...spec,
    keys,
    categories: categoriesOf(spec.flags, ['stream']),
    group: 'stream',
    complexity: 'O(1)',
    run: (call) => refuse(call, [at]),
  }
}

function refuse(call: Call, keys: readonly number[]): void {
  const { reply } = call
  if (keys.some((i) => isEventsKey(call, i))) return reply.error(EVENTS_READ_ONLY)
  if (keys.some((i) => streamKey(call, i) !== NO_STREAM)) return reply.error(WRONG_TYPE)
  reply.error(NO_OTHER_STREAMS)
}

export function refusedStreamCommands(): CommandSpec[] {
  return [
    refused(1, {
      name: 'XADD',
      keySpecs: [keyAt(1, 'RW update')],
      arity: -5,
      flags: ['write', 'denyoom', 'fast'],
      since: '5.0.0',
      tips: 'nondeterministic_output',
      syntax: 'key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value [field value ...]',
      summary: 'Refused: only the node writes events.',
    }),
    refused(1, {
      name: 'XDEL',
      keySpecs: [keyAt(1, 'RW delete')],
      arity: -3,
      flags: ['write', 'fast'],
      since: '5.0.0',
      syntax: 'key id [id ...]',
      summary: 'Refused: events go with the segments of the log.',
    }),
    refused(1, {
      name: 'XTRIM',
      keySpecs: [keyAt(1, 'RW delete')],
      arity: -4,
      flags: ['write'],
      since: '5.0.0',
      tips: 'nondeterministic_output',
      syntax: 'key <MAXLEN | MINID> [= | ~] threshold [LIMIT count]',
      summary: 'Refused: events go with the segments of the log.',
    }),
    refused(1, {
      name: 'XSETID',
      keySpecs: [keyAt(1, 'RW update')],
      arity: -3,
      flags: ['write', 'denyoom', 'fast'],
      since: '5.0.0',
      syntax: 'key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]',
      summary: 'Refused: ids are those of the log.',
    }),
    {
      name: 'XREADGROUP',
      arity: -7,
      flags: ['write', 'blocking', 'movablekeys'],
      keys: NO_KEYS,
      keySpecs: [keysBehind('STREAMS', 4, 'RO access')],
      keysOf: (request) => streamKeys(request, 4),
      categories: categoriesOf(['write', 'blocking'], ['stream']),
      group: 'stream',
      since: '5.0.0',
      complexity: 'O(1)',
      syntax: 'GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS <key [key ...] id [id ...]>',
      summary: 'Refused: there are no consumer groups; XREAD reads.',
      run(call) {
        const keys = streamKeys(call.request, 4)
        if (keys === null) call.reply.error(SYNTAX)
        else refuse(call, keys)
      },
    },
    refused(1, {
      name: 'XACK',
      keySpecs: [keyAt(1, 'RW update')],
      arity: -4,
      flags: ['write', 'fast'],
      since: '5.0.0',
      syntax: 'key group id [id ...]',
      summary: 'Refused: there are no consumer groups.',
    }),
    refused(1, {
      name: 'XCLAIM',
      keySpecs: [keyAt(1, 'RW update')],
      arity: -6,
      flags: ['write', 'fast'],
      since: '5.0.0',
      tips: 'nondeterministic_output',
      syntax:
        'key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID id]',
      summary: 'Refused: there are no consumer groups.',
    }),
    refused(1, {
      name: 'XAUTOCLAIM',
      keySpecs: [keyAt(1, 'RW delete')],
      arity: -6,
      flags: ['write', 'fast'],
      since: '6.2.0',
      tips: 'nondeterministic_output',
      syntax: 'key group consumer min-idle-time start:string [COUNT count] [JUSTID]',
      summary: 'Refused: there are no consumer groups.',
    }),
    refused(1, {
      name: 'XPENDING',
      arity: -3,
      flags: ['readonly'],
      since: '5.0.0',
      tips: 'nondeterministic_output',
      syntax: 'key group [[IDLE min-idle-time:integer] start:string end:string count [consumer]]',
      summary: 'Refused: there are no consumer groups.',
    }),
    container({
      name: 'XGROUP',
      group: 'stream',
      since: '5.0.0',
      summary: 'A container for consumer groups, which there are none of',
      help: NO_GROUPS_HELP,
      helpSince: '5.0.0',
      helpCategories: ['stream'],
      subcommands: [
        refused(2, {
          name: 'CREATE',
          keySpecs: [keyAt(2, 'RW insert')],
          arity: -5,
          flags: ['write', 'denyoom'],
          since: '5.0.0',
          syntax: 'key groupname <id | $> [MKSTREAM] [ENTRIESREAD entries-read]',
          summary: 'Refused: there are no consumer groups.',
        }),
        refused(2, {
          name: 'CREATECONSUMER',
          keySpecs: [keyAt(2, 'RW insert')],
          arity: 5,
          flags: ['write', 'denyoom'],
          since: '6.2.0',
          syntax: 'key groupname consumername',
          summary: 'Refused: there are no consumer groups.',
        }),
        refused(2, {
          name: 'DELCONSUMER',
          keySpecs: [keyAt(2, 'RW delete')],
          arity: 5,
          flags: ['write'],
          since: '5.0.0',
          syntax: 'key groupname consumername',
          summary: 'Refused: there are no consumer groups.',
        }),
        refused(2, {
          name: 'DESTROY',
          keySpecs: [keyAt(2, 'RW delete')],
          arity: 4,
          flags: ['write'],
          since: '5.0.0',
          syntax: 'key groupname',
          summary: 'Refused: there are no consumer groups.',
        }),
        refused(2, {
          name: 'SETID',
          keySpecs: [keyAt(2, 'RW update')],
          arity: -5,
          flags: ['write'],
          since: '5.0.0',
          syntax: 'key groupname <id | $> [ENTRIESREAD entries-read]',
          summary: 'Refused: there are no consumer groups.',
        }),
      ],
    }),
  ]
}
