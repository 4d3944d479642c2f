// The door of a node: its two ports, and who is let in.
//
//   port       Listener ────────────────> let in, or told why not
//   tls-port   Listener ──> Handshakes ─────^
//
// What stays true: while there is no password, strangers are not served (`protected-mode`); and however many clients come from elsewhere,
// a few places are left for those of this machine: an operator must get in when it is full.

import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { StockdError } from '../base/error.ts'
import type { Acl } from './acl/acl.ts'
import type { Env } from './env.ts'
import { isOpenToOthers, Listener } from './listener.ts'
import type { Options } from './options.ts'
import type { Session } from './session.ts'
import { isLoopbackAddress, SocketTransport } from './socket.ts'
import type { ReadMode, SocketOwner } from './socket.ts'
import type { Stats } from './stats.ts'
import { readCredentials } from './tls/credentials.ts'
import type { Credentials } from './tls/credentials.ts'
import { Handshakes } from './tls/handshakes.ts'

export interface DoorParts {
  readonly options: Options
  readonly env: Env
  readonly stats: Stats
  readonly acl: Acl
  /** Those who are in. */
  readonly sessions: ReadonlyMap<number, Session>
  readonly readMode: ReadMode
  /** False: whoever comes is sent away without a word. */
  readonly isServing: () => boolean
  /** A session for whoever has come. It is one before it is refused, and counts. */
  readonly enter: (transport: SocketTransport) => SocketOwner
}

/** Of `maxclients`, so many are kept for clients of this machine. */
const RESERVED_CLIENTS = 32

/** Options that make the credentials. */
const TLS_OPTIONS = [
  'tls-cert-file',
  'tls-key-file',
  'tls-key-file-pass',
  'tls-ca-cert-file',
  'tls-ca-cert-dir',
  'tls-auth-clients',
  'tls-protocols',
  'tls-ciphers',
  'tls-ciphersuites',
  'tls-prefer-server-ciphers',
  'tls-session-caching',
  'tls-session-cache-timeout',
] as const

const PROTECTED_TEXT =
  'DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode ' +
  'connections are only accepted from the loopback interface. If you want to connect from external computers to Redis you may adopt one of ' +
  "the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by " +
  'connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do ' +
  'so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis ' +
  "configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually " +
  "just for testing, restart it with the '--protected-mode no' option. 4) Setup a an authentication password for the default user. NOTE: You " +
  'only need to do one of the above things in order for the server to start accepting connections from the outside.'

export class Door {
  readonly #parts: DoorParts
  readonly #listener = new Listener((socket) => this.#take(socket))
  readonly #tlsListener = new Listener((socket) => this.#handshakes.take(socket))
  readonly #handshakes: Handshakes
  /** What TLS clients are shown; null: none are served. */
  #credentials: Credentials | null = null

  constructor(parts: DoorParts) {
    this.#parts = parts
    const { options, env, stats, sessions } = parts
    this.#handshakes = new Handshakes({
      env,
      stats,
      hasRoom: (underWay, socket) => sessions.size + underWay < this.#room(isLoopbackAddress(socket.remoteAddress ?? '')),
      accept: (socket) => this.#take(socket),
    })
    options.whenChanged('maxclients', (clients) =>
      clients + RESERVED_CLIENTS > descriptorLimit()
        ? `The operating system is not able to handle the specified number of clients, try with ${Math.max(1, descriptorLimit() - RESERVED_CLIENTS)}`
        : null,
    )
    options.whenAnyChanged(TLS_OPTIONS, () => {
      const reason = this.reloadCredentials()
      return reason === null ? null : `Unable to update TLS configuration: ${reason}`
    })
  }

  get credentials(): Credentials | null {
    return this.#credentials
  }

  /** The port that clients connect to; 0: TLS only. */
  get port(): number {
    return this.#listener.port === 0 ? this.#parts.options.values.port : this.#listener.port
  }

  /** The port of clients that speak TLS; 0: none are served. */
  get tlsPort(): number {
    return this.#parts.options.values['tls-port']
  }

  /** Before anything is opened: may it stand where it is to stand, and are the certificates there? Throws StockdError BAD_OPTION. */
  prepare(): void {
    const { options, acl, env } = this.#parts
    const { values } = options
    const asksForCertificates = this.tlsPort !== 0 && values.port === 0 && values['tls-auth-clients'] === 'yes'
    if (isOpenToOthers(values.bind) && acl.defaultUser.isOpen && values['protected-mode'] && !asksForCertificates) {
      throw new StockdError(
        'BAD_OPTION',
        `bind ${values.bind.join(' ')} lets other machines in and there is no password: set STOCKD_REQUIREPASS; or have users ` +
          'of their own and the default user off; or serve clients with certificates only (tls-port, port 0); or --protected-mode no where ' +
          'the network itself keeps strangers out',
      )
    }
    if (this.tlsPort !== 0) this.#use(readCredentials(values, env.clock.now()))
    this.#warnOfFewDescriptors()
  }

  /** Opens both ports or none. Throws StockdError LISTEN. */
  async open(): Promise<void> {
    const { bind, port, 'tcp-backlog': backlog } = this.#parts.options.values
    const { tlsPort } = this
    try {
      if (port !== 0 || tlsPort === 0) await this.#listener.open({ option: 'port', bind, port, backlog })
      if (tlsPort !== 0) await this.#tlsListener.open({ option: 'tls-port', bind, port: tlsPort, backlog })
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Nobody comes in any more. Who is in stays. */
  close(): void {
    this.#listener.close()
    this.#tlsListener.close()
  }

  /** SIGHUP: certificates, key and authorities are read again. @returns why they are not used, null: they are, or there is no TLS. */
  reloadCredentials(): string | null {
    if (this.#credentials === null) return null
    const { options, env } = this.#parts
    try {
      this.#use(readCredentials(options.values, env.clock.now()))
      return null
    } catch (error) {
      if (!(error instanceof StockdError)) throw error
      return error.message
    }
  }

  /** From the next connection on. Those that are open go on with what they have. */
  #use(credentials: Credentials): void {
    this.#handshakes.use(credentials)
    this.#credentials = credentials
    for (const warning of credentials.warnings) this.#parts.env.say('warning', warning)
  }

  #take(socket: Socket): void {
    const { options, stats, isServing, readMode, enter } = this.#parts
    stats.connectionsReceived++
    if (!isServing()) {
      socket.destroy()
      return
    }
    const transport = new SocketTransport(socket, readMode, enter)
    const refusal = this.#refusal(transport)
    if (refusal !== null) {
      stats.connectionsRejected++
      transport.refuse(Buffer.from(`-${refusal}\r\n`))
      return
    }
    transport.open(options.values['tcp-keepalive'])
  }

  /** Why this client is not let in, as Redis says it; null: it is. It is counted already. */
  #refusal(transport: SocketTransport): string | null {
    const { options, acl, sessions } = this.#parts
    if (sessions.size + this.#handshakes.underWay > this.#room(transport.isLoopback)) return 'ERR max number of clients reached'
    // Whoever has shown a certificate that we asked for is no stranger.
    const isStranger = !transport.isLoopback && !transport.isVouchedFor
    if (options.values['protected-mode'] && acl.defaultUser.isOpen && isStranger) return PROTECTED_TEXT
    return null
  }

  /** How many clients there may be before this one is too many. */
  #room(isLoopback: boolean): number {
    const { maxclients } = this.#parts.options.values
    return isLoopback ? maxclients : Math.max(1, maxclients - RESERVED_CLIENTS)
  }

  #warnOfFewDescriptors(): void {
    const { options, env } = this.#parts
    const limit = descriptorLimit()
    const wanted = options.values.maxclients + RESERVED_CLIENTS
    if (limit >= wanted) return
    env.say('warning', `this process may open ${limit} files, fewer than maxclients needs: clients beyond that wait; see ulimit -n`, {
      wanted,
    })
  }
}

/** How many files this process may open; Infinity where the system does not say. */
function descriptorLimit(): number {
  try {
    const line = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'))
    return line === null || line[1] === 'unlimited' ? Infinity : Number(line[1])
  } catch {
    return Infinity
  }
}
