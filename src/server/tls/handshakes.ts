// From a TCP connection to one that speaks TLS: what lies between the listener of tls-port and a session.
//
// What stays true: a connection is nobody's session before its handshake is over, and one that stalls is closed after five seconds.
// Handshakes under way count as clients, so that they cannot take more than maxclients allows.
//
// Unusual: Node's TLS server does not listen here, it is given the sockets. So new credentials are a new server, from the next
// connection on, and connections of the old one live on untouched.

import type { Socket } from 'node:net'
import { createServer } from 'node:tls'
import type { Server, TLSSocket } from 'node:tls'
import type { Env } from '../env.ts'
import type { Stats } from '../stats.ts'
import type { Credentials } from './credentials.ts'

const HANDSHAKE_MS_MAX = 5000
/** How often the log tells of handshakes that failed. */
const SAID_MS = 60_000

/** Why a handshake failed: words for metrics and the log. */
export const HANDSHAKE_FAILURES = [
  'timed_out',
  'closed',
  'no_certificate',
  'bad_certificate',
  'refused_by_client',
  'protocol',
  'no_room',
] as const
export type HandshakeFailure = (typeof HANDSHAKE_FAILURES)[number]

export interface HandshakeParts {
  readonly env: Env
  readonly stats: Stats
  /** Is there room for a further client, beside so many that are on their way? */
  readonly hasRoom: (underWay: number, socket: Socket) => boolean
  readonly accept: (socket: TLSSocket) => void
}

export class Handshakes {
  readonly #parts: HandshakeParts
  #server: Server | null = null
  #underWay = 0
  #saidAt = -Infinity

  constructor(parts: HandshakeParts) {
    this.#parts = parts
  }

  get underWay(): number {
    return this.#underWay
  }

  /** From now on connections get these credentials. */
  use({ options }: Credentials): void {
    const server = createServer({ ...options, handshakeTimeout: HANDSHAKE_MS_MAX, pauseOnConnect: true, noDelay: true })
    server.on('secureConnection', (socket) => {
      this.#underWay--
      socket.allowHalfOpen = true
      this.#parts.accept(socket)
    })
    server.on('tlsClientError', (error, socket) => {
      this.#underWay--
      this.#failed(reasonOf(error, socket), socket)
    })
    this.#server = server
  }

  /** A connection that nobody has read from. */
  take(socket: Socket): void {
    const server = this.#server
    if (server === null || !this.#parts.hasRoom(this.#underWay, socket)) {
      this.#failed('no_room', socket)
      return
    }
    this.#underWay++
    // Who ends in the middle of a handshake has nothing to be answered.
    socket.allowHalfOpen = false
    server.emit('connection', socket)
  }

  #failed(reason: HandshakeFailure, socket: Socket): void {
    const { env, stats } = this.#parts
    stats.connectionsReceived++
    stats.connectionsRejected++
    stats.handshakeFailures[reason]++
    const addr = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`
    socket.destroy()
    // Whoever only knocks (a balancer that looks if the port is open) is no news.
    if (reason === 'closed') return
    const now = env.clock.now()
    if (now - this.#saidAt < SAID_MS) return
    this.#saidAt = now
    const total = Object.values(stats.handshakeFailures).reduce((sum, n) => sum + n, 0)
    env.say('warning', `a TLS handshake failed (${WORDS[reason]}); said at most once a minute`, { addr, total })
  }
}

const WORDS: Readonly<Record<HandshakeFailure, string>> = {
  timed_out: 'it took longer than 5 seconds',
  closed: 'the client went away',
  no_certificate: 'the client showed no certificate',
  bad_certificate: 'the certificate of the client is not one that tls-ca-cert-file vouches for',
  refused_by_client: 'the client refused: does it trust the certificate of this node?',
  protocol: 'no TLS, or no version and cipher in common',
  no_room: 'maxclients',
}

function reasonOf({ code = '' }: NodeJS.ErrnoException, socket: TLSSocket): HandshakeFailure {
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return 'timed_out'
  if (code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE') return 'no_certificate'
  if (socket.authorizationError as unknown) return 'bad_certificate'
  if (code.includes('_ALERT_')) return 'refused_by_client'
  return code.startsWith('ERR_SSL_') ? 'protocol' : 'closed'
}
