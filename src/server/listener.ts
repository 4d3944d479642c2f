// A port of a node: listens on the addresses of `bind`, hands over whoever connects, and closes.

import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { StockdError } from '../base/error.ts'
import { isLoopbackAddress } from './socket.ts'

export interface ListenOptions {
  /** The option that says which port, for whoever has to choose another. */
  readonly option: 'port' | 'tls-port'
  /** Addresses; `*` is all of IPv4, `::*` all of IPv6; with `-` in front an address may be missing on this machine. */
  readonly bind: readonly string[]
  /** 0: a free one, the same on all addresses. */
  readonly port: number
  readonly backlog: number
}

const MAY_BE_MISSING = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'ENOTFOUND'])

export class Listener {
  readonly #accept: (socket: Socket) => void
  #servers: Server[] = []
  port = 0

  constructor(accept: (socket: Socket) => void) {
    this.#accept = accept
  }

  /** Opens all addresses or none. Throws StockdError LISTEN. */
  async open({ option, bind, port, backlog }: ListenOptions): Promise<void> {
    this.port = port
    try {
      for (const entry of bind) {
        const host = hostOf(entry)
        try {
          const server = await listen({ host, port: this.port, backlog, accept: this.#accept })
          this.#servers.push(server)
          const address = server.address()
          if (address !== null && typeof address === 'object') this.port = address.port
        } catch (error) {
          const { code } = error as NodeJS.ErrnoException
          if (entry.startsWith('-') && MAY_BE_MISSING.has(code ?? '')) continue
          throw new StockdError('LISTEN', reasonOf({ code, host, port: this.port, option }), { cause: error })
        }
      }
      if (this.#servers.length === 0)
        throw new StockdError('LISTEN', `none of the addresses of bind (${bind.join(' ')}) is on this machine`)
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** No new connections. Those that are open stay. */
  close(): void {
    for (const server of this.#servers) server.close()
    this.#servers = []
  }
}

/** True if clients of other machines could connect. */
export function isOpenToOthers(bind: readonly string[]): boolean {
  return bind.some((entry) => {
    const host = hostOf(entry)
    return host !== 'localhost' && !isLoopbackAddress(host)
  })
}

function hostOf(entry: string): string {
  const host = entry.startsWith('-') ? entry.slice(1) : entry
  return host === '*' ? '0.0.0.0' : host === '::*' ? '::' : host
}

function listen({
  host,
  port,
  backlog,
  accept,
}: {
  host: string
  port: number
  backlog: number
  accept: (socket: Socket) => void
}): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, accept)
    server.once('error', reject)
    server.listen({ host, port, backlog, ipv6Only: host.includes(':') }, () => {
      server.off('error', reject)
      // Accepting fails when the process is out of file descriptors: the connection waits, and others go on.
      server.on('error', () => {})
      resolve(server)
    })
  })
}

interface Failed {
  readonly code: string | undefined
  readonly host: string
  readonly port: number
  readonly option: ListenOptions['option']
}

function reasonOf({ code, host, port, option }: Failed): string {
  if (code === 'EADDRINUSE')
    return `port ${port} of ${host} is already in use; another server is running there, or choose another --${option}`
  if (code === 'EACCES') return `port ${port} of ${host} may not be opened by this user; ports below 1024 need a privilege`
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return `${host} is not an address of this machine; see --bind`
  return `cannot listen on ${host} port ${port} (${code ?? 'unknown error'})`
}
