// A TCP socket as a transport, and the fastest way of reading one.
//
// All sockets read into one static buffer: the kernel's bytes are looked at where they land, and no buffer is made per read (10-20 % of
// a GET). Node offers this (`onread`) to sockets that connect, not to accepted ones; there it takes one private field, the handle, which
// moves from the accepted socket into a new one. Where that field is not what is expected, sockets are read by 'data' events: slower,
// otherwise the same. Both ways are tested.

import { Socket } from 'node:net'
import { INPUT_HEADROOM } from '../resp/parser.ts'
import type { Transport } from './transport.ts'

const INPUT_BYTES = 64 * 1024

/** Who hears of a socket. Called with bytes that are valid during the call only. */
export interface SocketOwner {
  received(input: Buffer, start: number, end: number): void
  /** The peer will send no more. */
  ended(): void
  /** What was queued has left. */
  drained(): void
  closed(): void
}

/** What we need of libuv's handle behind a socket. */
interface Handle {
  readonly fd?: number
  useUserBuffer?: unknown
}
interface WithHandle {
  _handle?: Handle | null
}

/** The buffer that all sockets read into, with room in front for the rest of a request that came before. */
const input = Buffer.allocUnsafeSlow(INPUT_HEADROOM + INPUT_BYTES)
const landing = input.subarray(INPUT_HEADROOM)

export type ReadMode = 'shared' | 'events'

export class SocketTransport implements Transport {
  readonly addr: string
  readonly laddr: string
  readonly isLoopback: boolean
  readonly fd: number
  /** How it is read. */
  readonly mode: ReadMode
  readonly #socket: Socket

  /** @param accepted a socket that nobody has read from (`pauseOnConnect`). */
  constructor(accepted: Socket, wanted: ReadMode, ownerOf: (transport: SocketTransport) => SocketOwner) {
    this.addr = address(accepted.remoteAddress, accepted.remotePort)
    this.laddr = address(accepted.localAddress, accepted.localPort)
    this.isLoopback = isLoopbackAddress(accepted.remoteAddress ?? '')
    const handle = (accepted as WithHandle)._handle
    this.fd = handle?.fd ?? -1
    // Events cannot come before the next turn of the loop, so the owner is known when they do.
    let owner: SocketOwner | null = null
    const shared = wanted === 'shared' ? takeHandle(accepted, (bytes) => owner!.received(input, INPUT_HEADROOM, INPUT_HEADROOM + bytes)) : null
    this.mode = shared === null ? 'events' : 'shared'
    const socket = shared ?? accepted
    this.#socket = socket
    owner = ownerOf(this)
    if (shared === null) socket.on('data', (bytes: Buffer) => owner.received(bytes, 0, bytes.length))
    socket.on('end', () => owner.ended())
    socket.on('drain', () => owner.drained())
    socket.on('close', () => owner.closed())
    // The reason of a broken connection is the peer's or the network's; 'close' follows and is what counts.
    socket.on('error', () => {})
  }

  /** Starts reading. */
  open(keepAliveSeconds: number): void {
    this.#socket.setNoDelay(true)
    if (keepAliveSeconds > 0) this.#socket.setKeepAlive(true, keepAliveSeconds * 1000)
    this.#socket.resume()
  }

  get queued(): number {
    return this.#socket.writableLength
  }

  write(bytes: Buffer): boolean {
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) return true
    socket.write(bytes)
    return socket.writableLength === 0
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.destroySoon()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

/** Moves the handle of an accepted socket into a new one that reads into the shared buffer. Null: this Node does not let us. */
function takeHandle(accepted: Socket, received: (bytes: number) => void): Socket | null {
  const handle = (accepted as WithHandle)._handle
  if (typeof handle !== 'object' || handle === null || typeof handle.useUserBuffer !== 'function') return null
  ;(accepted as WithHandle)._handle = null
  const options = {
    handle,
    readable: true,
    writable: true,
    allowHalfOpen: true,
    onread: {
      buffer: landing,
      callback: (bytes: number): boolean => {
        received(bytes)
        return true
      },
    },
  }
  return new Socket(options as unknown as ConstructorParameters<typeof Socket>[0])
}

function address(host: string | undefined, port: number | undefined): string {
  if (host === undefined) return '?:0'
  const plain = host.startsWith('::ffff:') ? host.slice(7) : host
  return plain.includes(':') ? `[${plain}]:${port}` : `${plain}:${port}`
}

export function isLoopbackAddress(host: string): boolean {
  const plain = host.startsWith('::ffff:') ? host.slice(7) : host
  return plain === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(plain)
}
