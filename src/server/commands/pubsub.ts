// SUBSCRIBE, PUBLISH and their like: messages to whoever listens at this moment. Nothing of it is data: no keys, no log, no databases.
//
// Unusual: SUBSCRIBE and UNSUBSCRIBE answer once for each name, and each answer is a message like those that follow. So it is a push in
// RESP3, and CLIENT REPLY OFF does not drop it.

import type { Call } from '../../engine/call.ts'
import { ALL_ARGUMENTS, FIRST_ARGUMENT, NO_KEYS } from '../../engine/command.ts'
import type { ChannelUse, CommandFlag, CommandSpec } from '../../engine/command.ts'
import { keyAt, keysFrom } from '../../engine/key-specs.ts'
import { Glob } from '../../base/glob.ts'
import { wrongSubcommand } from '../../resp/errors.ts'
import { frame } from '../channels.ts'
import type { Kind } from '../channels.ts'
import type { Node } from '../node.ts'
import { sessionOf } from '../session.ts'
import { container, keyless } from './keyless.ts'

const LISTENING: readonly CommandFlag[] = ['pubsub', 'noscript', 'loading', 'stale']
const SENDING: readonly CommandFlag[] = ['pubsub', 'loading', 'stale', 'fast', 'may_replicate']
const ASKING: readonly CommandFlag[] = ['pubsub', 'loading', 'stale']
const LISTENS = { flags: LISTENING, categories: ['pubsub', 'slow'], group: 'pubsub', whileSubscribed: true } as const
const SENDS = { flags: SENDING, categories: ['pubsub', 'fast'], group: 'pubsub' } as const
const ASKS = { flags: ASKING, group: 'pubsub' } as const

const ALL_CHANNELS: ChannelUse = { isOne: false, arePatterns: false }
const ALL_PATTERNS: ChannelUse = { isOne: false, arePatterns: true }
const ONE_CHANNEL: ChannelUse = { isOne: true, arePatterns: false }
/** They say which shard a request belongs to, as keys do, but are none. */
const SHARD_CHANNELS = [keysFrom(1, 'not_key')]

const HELP = [
  'CHANNELS [<pattern>]',
  "    Return the currently active channels matching a <pattern> (default: '*').",
  'NUMPAT',
  '    Return number of subscriptions to patterns.',
  'NUMSUB [<channel> ...]',
  '    Return the number of subscribers for the specified channels, excluding',
  '    pattern subscriptions(default: no channels).',
  'SHARDCHANNELS [<pattern>]',
  "    Return the currently active shard level channels matching a <pattern> (default: '*').",
  'SHARDNUMSUB [<shardchannel> ...]',
  '    Return the number of subscribers for the specified shard level channel(s)',
]

export function pubsubCommands(node: Node): CommandSpec[] {
  /** Tells the session what it has begun or ceased to listen to (null: there was nothing), and to how many it listens now. */
  function confirm(call: Call, word: Buffer, name: string | null, kind: Kind): void {
    const session = sessionOf(call)
    const { listening } = session
    const shards = listening?.shards.size ?? 0
    const count = kind === 'shards' ? shards : session.subscriptions - shards
    node.turn.push(session, frame([word, name === null ? null : Buffer.from(name, 'latin1'), count], session.protocol))
  }

  function subscribe(call: Call, kind: Kind, word: Buffer): void {
    const { request } = call
    for (let i = 1; i < request.argc; i++) {
      const name = request.latin1(i)
      node.channels.subscribe(sessionOf(call), kind, name)
      confirm(call, word, name, kind)
    }
  }

  function unsubscribe(call: Call, kind: Kind, word: Buffer): void {
    const { request } = call
    const session = sessionOf(call)
    const names = request.argc === 1 ? node.channels.namesOf(session, kind) : argumentsOf(call)
    if (names.length === 0) return confirm(call, word, null, kind)
    for (const name of names) {
      node.channels.unsubscribe(session, kind, name)
      confirm(call, word, name, kind)
    }
  }

  function listNames(call: Call, kind: Kind): void {
    const { request, reply } = call
    if (request.argc > 3) return reply.error(wrongSubcommand(call.request, 'PUBSUB'))
    const { bytes, start, end } = request
    const found: Buffer[] = []
    const glob = request.argc === 2 ? null : new Glob(bytes, start[2], end[2])
    for (const name of node.channels.names(kind)) if (glob === null || glob.matches(name, 0, name.length)) found.push(name)
    reply.array(found.length)
    for (const name of found) reply.bulk(name)
  }

  function countListeners({ request, reply }: Call, kind: Kind): void {
    reply.array((request.argc - 2) * 2)
    for (let i = 2; i < request.argc; i++) {
      reply.bulk(request.bytes, request.start[i], request.end[i])
      reply.integer(node.channels.listeners(kind, request.latin1(i)))
    }
  }

  return [
    {
      ...LISTENS,
      name: 'SUBSCRIBE',
      arity: -2,
      keys: NO_KEYS,
      channels: ALL_CHANNELS,
      since: '2.0.0',
      complexity: 'O(N), N channels',
      syntax: 'channel [channel ...]',
      summary: 'Sends this connection every message to these channels from now on.',
      run: (call) => subscribe(call, 'channels', SUBSCRIBED),
    },
    {
      ...LISTENS,
      name: 'UNSUBSCRIBE',
      arity: -1,
      keys: NO_KEYS,
      since: '2.0.0',
      complexity: 'O(N), N channels',
      syntax: '[channel [channel ...]]',
      summary: 'Ends what SUBSCRIBE began, for these channels or for all.',
      run: (call) => unsubscribe(call, 'channels', UNSUBSCRIBED),
    },
    {
      ...LISTENS,
      name: 'PSUBSCRIBE',
      arity: -2,
      keys: NO_KEYS,
      channels: ALL_PATTERNS,
      since: '2.0.0',
      complexity: 'O(N), N patterns',
      syntax: 'pattern [pattern ...]',
      summary: 'Sends this connection every message to channels whose names match, from now on.',
      run: (call) => subscribe(call, 'patterns', PATTERN_SUBSCRIBED),
    },
    {
      ...LISTENS,
      name: 'PUNSUBSCRIBE',
      arity: -1,
      keys: NO_KEYS,
      since: '2.0.0',
      complexity: 'O(N), N patterns',
      syntax: '[pattern [pattern ...]]',
      summary: 'Ends what PSUBSCRIBE began, for these patterns or for all.',
      run: (call) => unsubscribe(call, 'patterns', PATTERN_UNSUBSCRIBED),
    },
    {
      ...LISTENS,
      name: 'SSUBSCRIBE',
      arity: -2,
      keys: ALL_ARGUMENTS,
      keySpecs: SHARD_CHANNELS,
      channels: ALL_CHANNELS,
      since: '7.0.0',
      complexity: 'O(N), N shard channels',
      syntax: 'shardchannel [shardchannel ...]',
      summary: 'Sends this connection every message to these shard channels from now on.',
      run(call) {
        if (sessionOf(call).mayNotWait) call.reply.error("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client")
        else subscribe(call, 'shards', SHARD_SUBSCRIBED)
      },
    },
    {
      ...LISTENS,
      name: 'SUNSUBSCRIBE',
      arity: -1,
      keys: ALL_ARGUMENTS,
      keySpecs: SHARD_CHANNELS,
      since: '7.0.0',
      complexity: 'O(N), N shard channels',
      syntax: '[shardchannel [shardchannel ...]]',
      summary: 'Ends what SSUBSCRIBE began, for these shard channels or for all.',
      run: (call) => unsubscribe(call, 'shards', SHARD_UNSUBSCRIBED),
    },
    {
      ...SENDS,
      name: 'PUBLISH',
      arity: 3,
      keys: NO_KEYS,
      channels: ONE_CHANNEL,
      since: '2.0.0',
      complexity: 'O(N+M), N listeners of the channel, M patterns of all clients',
      syntax: 'channel message',
      summary: 'Sends a message to everybody who listens to a channel.',
      run({ request, reply }) {
        reply.integer(node.channels.publish(viewOf(request, 1), viewOf(request, 2)))
      },
    },
    {
      ...SENDS,
      name: 'SPUBLISH',
      arity: 3,
      keys: FIRST_ARGUMENT,
      keySpecs: [keyAt(1, 'not_key')],
      channels: ONE_CHANNEL,
      since: '7.0.0',
      complexity: 'O(N), N listeners of the shard channel',
      syntax: 'shardchannel message',
      summary: 'Sends a message to everybody who listens to a shard channel.',
      run({ request, reply }) {
        reply.integer(node.channels.publishToShard(viewOf(request, 1), viewOf(request, 2)))
      },
    },
    container({
      name: 'PUBSUB',
      group: 'pubsub',
      since: '2.8.0',
      summary: 'About channels and who listens to them',
      help: HELP,
      helpSince: '6.2.0',
      subcommands: [
        keyless({
          ...ASKS,
          name: 'CHANNELS',
          arity: -2,
          since: '2.8.0',
          complexity: 'O(N), N channels that somebody listens to',
          syntax: '[pattern]',
          summary: 'The channels that somebody listens to, by name.',
          run: (call) => listNames(call, 'channels'),
        }),
        keyless({
          ...ASKS,
          name: 'NUMPAT',
          arity: 2,
          since: '2.8.0',
          syntax: '',
          summary: 'How many different patterns somebody listens to.',
          run: ({ reply }) => reply.integer(node.channels.size('patterns')),
        }),
        keyless({
          ...ASKS,
          name: 'NUMSUB',
          arity: -2,
          since: '2.8.0',
          complexity: 'O(N), N channels asked for',
          syntax: '[channel [channel ...]]',
          summary: 'How many listen to each of these channels.',
          run: (call) => countListeners(call, 'channels'),
        }),
        keyless({
          ...ASKS,
          name: 'SHARDCHANNELS',
          arity: -2,
          since: '7.0.0',
          complexity: 'O(N), N shard channels that somebody listens to',
          syntax: '[pattern]',
          summary: 'The shard channels that somebody listens to, by name.',
          run: (call) => listNames(call, 'shards'),
        }),
        keyless({
          ...ASKS,
          name: 'SHARDNUMSUB',
          arity: -2,
          since: '7.0.0',
          complexity: 'O(N), N shard channels asked for',
          syntax: '[shardchannel [shardchannel ...]]',
          summary: 'How many listen to each of these shard channels.',
          run: (call) => countListeners(call, 'shards'),
        }),
      ],
    }),
  ]
}

const SUBSCRIBED = Buffer.from('subscribe')
const UNSUBSCRIBED = Buffer.from('unsubscribe')
const PATTERN_SUBSCRIBED = Buffer.from('psubscribe')
const PATTERN_UNSUBSCRIBED = Buffer.from('punsubscribe')
const SHARD_SUBSCRIBED = Buffer.from('ssubscribe')
const SHARD_UNSUBSCRIBED = Buffer.from('sunsubscribe')

function argumentsOf({ request }: Call): string[] {
  return Array.from({ length: request.argc - 1 }, (_, k) => request.latin1(k + 1))
}

/** Argument i where it is: whoever keeps it copies it. */
function viewOf(request: Call['request'], i: number): Uint8Array {
  return request.bytes.subarray(request.start[i], request.end[i])
}
