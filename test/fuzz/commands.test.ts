// Every command of a node, with arguments made from its spec: right ones, nearly right ones and nonsense (request-maker.ts).
//
// Whatever comes:
//   one answer         exactly one reply, whole and to the letter of its protocol; never an exception
//   a refusal is one   behind an error the state is what it was, and no record was written
//   the log is all     the records, replayed as they come into another engine, give the same state, digest for digest
//
// SEED replays a run, REQUESTS makes it longer.

import { expect, it } from 'vitest'
import { Random } from '../../src/base/random.ts'
import { RecordedNode } from './recorded-node.ts'
import type { Peer, PlantedBug } from './recorded-node.ts'
import { countReplies } from './reply-check.ts'
import { BEGINNING, RequestMaker } from './request-maker.ts'

const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
const REQUESTS = Number(process.env.REQUESTS ?? 60_000)
/** Where to begin: an episode that failed. */
const FIRST = Number(process.env.EPISODE ?? 0)
/** Requests to one node; the next one starts from the same keys again. */
const EPISODE = 1000

/** What a node has at the start of an episode. */
const SHOP: readonly (readonly string[])[] = [
  ['STOCK.CREATE', 'sku:a', '100', 'HOLD', '30'],
  ['STOCK.CREATE', 'sku:b', '3', 'LIMIT', '2', 'HOLD', '1'],
]

/** Whose answer is none, or not one: they end, silence or lengthen a conversation. */
const NOT_ONE_ANSWER = /^(CLIENT (REPLY|KILL|PAUSE)|QUIT|[PS]?(UN)?SUBSCRIBE|MONITOR|RESET|SHUTDOWN|HELLO)/i

/** An answer of thousands of millions of elements is none: the connection ends. */
const TOO_LARGE = /^[HSZ]RAND/

interface Outcome {
  requests: number
  answered: number
  refused: number
  changed: number
  waited: number
  /** Names of commands that were answered without an error at least once. */
  readonly succeeded: Set<string>
}

const nothing = (): Outcome => ({ requests: 0, answered: 0, refused: 0, changed: 0, waited: 0, succeeded: new Set() })

/** Of a failing episode, so many of the last requests. */
const SHOWN = 12

const shortened = (args: readonly string[]): string =>
  JSON.stringify(args.map((word) => (word.length > 300 ? `${word.slice(0, 300)}... (${word.length})` : word)))

/** One conversation of three clients with a node of their own. */
async function episode(seed: number, from: number, outcome: Outcome, bug: PlantedBug | null = null): Promise<void> {
  const random = new Random(seed).fork(`episode ${from}`)
  const recorded = await RecordedNode.start({ 'enable-debug-command': random.chance(0.5) ? 'yes' : 'no' }, bug)
  const maker = new RequestMaker(recorded.node.commands.specs, random)
  const first = recorded.connect()
  for (const args of [...BEGINNING, ...SHOP]) recorded.send(first, args)
  const peers: Peer[] = Array.from({ length: 3 }, () => recorded.connect())
  recorded.send(peers[1], ['HELLO', '3'])
  for (const { transport } of [first, ...peers]) transport.sent = []
  const latest: string[] = []
  try {
    for (let n = 0; n < EPISODE; n++) {
      if (random.chance(0.05)) recorded.pass(random.pick([1, 20, 900, 31_000]))
      if (random.chance(0.003)) recorded.compact()
      const which = random.below(peers.length)
      const args = maker.next(from + n)
      latest.push(`${which}, RESP${peers[which].session.protocol}: ${shortened(args)}`)
      if (latest.length > SHOWN) latest.shift()
      one(recorded, peers, which, args, outcome, random.chance(0.05))
      // Some of those who listen stay; who watches everything does not.
      const name = args.slice(0, 2).join(' ')
      if (NOT_ONE_ANSWER.test(name) && (/^monitor/i.test(name) || random.chance(0.5))) peers[which].transport.destroy()
      for (let i = 0; i < peers.length; i++) {
        if (!isLost(peers[i])) continue
        recorded.disconnect(peers[i])
        peers[i] = recorded.connect()
        recorded.node.unpause()
        if (random.chance(0.5)) recorded.send(peers[i], ['HELLO', '3'])
        peers[i].transport.sent = []
      }
    }
    expect(recorded.replayedDigest(), 'the digest of the records').toBe(recorded.digest())
  } catch (error) {
    throw new Error(`SEED=${seed}, episode ${from}: ${(error as Error).message}, after\n${latest.join('\n')}`, { cause: error })
  }
}

/** Nothing more can be asked of it, or what it is asked has an answer later. */
const isLost = ({ session, transport }: Peer): boolean =>
  transport.state !== 'open' || session.isClosing || session.replyMode !== 'on' || session.parked !== null || !session.isAuthenticated

/** One request, and all that must be true of what follows. */
function one(recorded: RecordedNode, peers: Peer[], which: number, args: readonly string[], outcome: Outcome, isThorough: boolean): void {
  const peer = peers[which]
  const { session, transport } = peer
  recorded.pass(0)
  recorded.takeRecords()
  for (const { transport: other } of peers) other.sent = []
  const before = recorded.seal()
  const digest = isThorough ? recorded.digest() : ''
  const isListening = session.subscriptions > 0
  recorded.send(peer, args)
  outcome.requests++
  const bytes = Buffer.concat(transport.sent)
  const { replies, errors } = countReplies(bytes, session.protocol)
  const text = bytes.toString('latin1', 0, 400)
  const written = recorded.takeRecords()
  const name = args.slice(0, 2).join(' ').toUpperCase()
  if (session.parked !== null) outcome.waited++
  else if (transport.state !== 'open' && TOO_LARGE.test(name)) outcome.waited++
  else if (!NOT_ONE_ANSWER.test(name) && !isListening && replies !== 1) throw new Error(`${replies} replies: ${JSON.stringify(text)}`)
  if (replies === 1 && errors === 1) {
    outcome.refused++
    if (written !== '') throw new Error(`${JSON.stringify(text)}, and wrote ${JSON.stringify(written.slice(0, 400))}`)
    if (recorded.seal() !== before) throw new Error(`${JSON.stringify(text)}, and changed the state`)
    if (isThorough && recorded.digest() !== digest) throw new Error(`${JSON.stringify(text)}, and changed the state`)
  } else {
    outcome.answered++
    outcome.succeeded.add(args[0].toUpperCase())
    if (written !== '') outcome.changed++
    else if (recorded.seal() !== before) throw new Error(`${JSON.stringify(text)}: changed, and no record says so`)
  }
  if (written !== '' && recorded.replayedSeal() !== recorded.seal())
    throw new Error(`another seal after ${JSON.stringify(written.slice(0, 400))}`)
  if (isThorough && recorded.replayedDigest() !== recorded.digest())
    throw new Error(`another digest after ${JSON.stringify(written.slice(0, 400))}`)
  // Messages and the replies of those who waited are whole, too.
  for (const other of peers) if (other !== peer) countReplies(Buffer.concat(other.transport.sent), other.session.protocol)
}

it(`answers every request, valid or not, with one reply, and logs what it changes (SEED=${SEED})`, { timeout: 3_600_000 }, async () => {
  const outcome = nothing()
  const began = performance.now()
  for (let from = FIRST; from < REQUESTS; from += EPISODE) await episode(SEED, from, outcome)
  console.log(
    `SEED=${SEED}: ${outcome.requests} requests in ${Math.round(performance.now() - began)} ms: ${outcome.answered} answered, ${outcome.changed} ` +
      `of them with records, ${outcome.refused} refused, ${outcome.waited} waited`,
  )
  expect(outcome.changed).toBeGreaterThan(REQUESTS / 50)
})

// Trust in this test: what somebody could get wrong is found, and soon.
it.each(['a record is forgotten', 'a record has another value', 'a refusal has a record'] as const)(
  'finds a planted bug: %s',
  async (bug) => {
    let found = ''
    for (let from = 0; from < 10 * EPISODE && found === ''; from += EPISODE) {
      found = await episode(1, from, nothing(), bug).then(
        () => '',
        (error: unknown) => (error as Error).message,
      )
    }
    expect(found).toMatch(/another seal|another digest|the digest of the records|contradicts the state|and wrote/)
  },
)
