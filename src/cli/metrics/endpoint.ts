// The HTTP side door of a process: /metrics for Prometheus, /healthz (it lives) and /readyz (it should get traffic) for balancers.
//
// Everything is bounded: connections, header bytes, time to send a request and to take the answer, requests of one connection. Whoever
// asks for anything else than GET or HEAD of these three hears no; what a body says is never read.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { StockdError } from '../../base/error.ts'

export interface Health {
  readonly isWell: boolean
  /** Words of an answer, as JSON. */
  readonly body: Readonly<Record<string, string | number | boolean>>
}

export interface EndpointParts {
  readonly port: number
  readonly address: string
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
  alive(): Health
  ready(): Health
}

/** A scraper, a balancer or two, and somebody with curl. */
const CONNECTIONS_MAX = 64
const HEADER_BYTES_MAX = 8 * 1024
const REQUEST_MS_MAX = 5000
const ANSWER_MS_MAX = 5000
const IDLE_MS_MAX = 15_000
const REQUESTS_PER_CONNECTION = 1000

export class Endpoint {
  readonly #server: Server
  readonly #parts: EndpointParts
  #scrape: Promise<string> | null = null

  constructor(parts: EndpointParts) {
    this.#parts = parts
    this.#server = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: REQUEST_MS_MAX,
        requestTimeout: REQUEST_MS_MAX,
        keepAliveTimeout: IDLE_MS_MAX,
        connectionsCheckingInterval: 1000,
      },
      (request, response) => this.#answer(request, response),
    )
    this.#server.maxConnections = CONNECTIONS_MAX
    this.#server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION
    // A peer that does not take its answer, or sends nothing at all.
    this.#server.setTimeout(ANSWER_MS_MAX, (socket) => socket.destroy())
    this.#server.on('clientError', (_, socket) => {
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      else socket.destroy()
    })
  }

  /** Throws StockdError LISTEN. */
  async open(): Promise<void> {
    const { port, address } = this.#parts
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) =>
        reject(new StockdError('LISTEN', reasonOf(error, address, port), { cause: error })),
      )
      this.#server.listen({ port, host: address }, () => {
        this.#server.removeAllListeners('error')
        // Accepting may fail when the process is out of file descriptors: it goes on.
        this.#server.on('error', () => {})
        resolve()
      })
    })
  }

  /** The address of the root, for people. */
  get url(): string {
    const bound = this.#server.address() as AddressInfo
    return `http://${bound.address.includes(':') ? `[${bound.address}]` : bound.address}:${bound.port}`
  }

  /** No new connections; those that are open end. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    // A body is not read, so nothing may come behind it.
    if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined) {
      response.setHeader('Connection', 'close')
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD')
      return send(response, 405, 'text/plain; charset=utf-8', 'only GET and HEAD\n')
    }
    const url = request.url ?? ''
    const query = url.indexOf('?')
    switch (query < 0 ? url : url.slice(0, query)) {
      case '/metrics':
        return this.#sendMetrics(response)
      case '/healthz':
        return sendHealth(response, this.#parts.alive())
      case '/readyz':
        return sendHealth(response, this.#parts.ready())
      default:
        return send(response, 404, 'text/plain; charset=utf-8', '/metrics, /healthz and /readyz are here\n')
    }
  }

  #sendMetrics(response: ServerResponse): void {
    const { metrics } = this.#parts
    // Those who ask while one is being collected share it: a crowd of scrapers costs as much as one.
    this.#scrape ??= metrics.text().finally(() => (this.#scrape = null))
    this.#scrape.then(
      (text) => send(response, 200, metrics.contentType, text),
      (error: unknown) => {
        // A figure that cannot be had is a bug, and no reason to stop selling.
        send(response, 500, 'text/plain; charset=utf-8', `${error instanceof Error ? error.message : String(error)}\n`)
      },
    )
  }
}

function sendHealth(response: ServerResponse, { isWell, body }: Health): void {
  send(response, isWell ? 200 : 503, 'application/json; charset=utf-8', `${JSON.stringify(body)}\n`)
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  const bytes = Buffer.from(body)
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': bytes.length, 'Cache-Control': 'no-store' })
  // Of a HEAD request Node sends the headers only.
  response.end(bytes)
}

function reasonOf({ code }: NodeJS.ErrnoException, address: string, port: number): string {
  const where = `port ${port} of ${address === '' ? 'all addresses' : address} for --http`
  if (code === 'EADDRINUSE') return `${where} is already in use; another server is running there, or choose another one`
  if (code === 'EACCES') return `${where} may not be opened by this user; ports below 1024 need a privilege`
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return `${address} is not an address of this machine; see --http-bind`
  return `cannot listen on ${where} (${code ?? 'unknown error'})`
}
