// A TCP proxy for tests: between a client and a server, where answers are lost.
//
//   proxy.loseAnswerTo('COMMIT')     once: the statement reaches the server, which answers; the client only sees its connection end

import { createServer, connect } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

export class TcpProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #lost: string | null = null
  /** How many answers were lost. */
  losses = 0

  private constructor(target: number) {
    this.#server = createServer((client) => this.#join(client, connect(target, '127.0.0.1')))
  }

  static async to(port: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(port)
    await new Promise<void>((resolve) => {
      proxy.#server.listen(0, '127.0.0.1', resolve)
    })
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  loseAnswerTo(text: string): void {
    this.#lost = text
  }

  /** Every connection ends at once. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #join(client: Socket, server: Socket): void {
    let isLosing = false
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
    }
    client.on('data', (chunk) => {
      if (this.#lost !== null && chunk.includes(this.#lost)) {
        this.#lost = null
        isLosing = true
      }
      server.write(chunk)
    })
    server.on('data', (chunk) => {
      if (isLosing) {
        this.losses++
        client.destroy()
      } else client.write(chunk)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
  }
}
