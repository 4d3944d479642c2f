// A TCP socket as a transport, and the fastest way of using one.
//
// All sockets read into one static buffer: the kernel's bytes are looked at where they land, and no buffer is made per read (10-20 % of
// a GET). Node offers this (`onread`) to sockets that connect, not to accepted ones; there it takes one private field, the handle, which
// moves from the accepted socket into a new one. What is written goes to that handle too: nearly always the kernel takes it at once, and
// then everything that a stream does for a write (a request object, a tick, its callbacks) is for nothing (another 10 %).
//
// Both rest on parts of Node that are not promised. Where they are not what is expected, sockets are used as everybody does, by 'data'
// events and `write`: slower, otherwise the same. Both ways are tested. Those that speak TLS are always used so.

import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { INPUT_HEADROOM } from '../resp/parser.ts'
import type { Transport } from './transport.ts'

const INPUT_BYTES = 64 * 1024
/** What is written to a TLS socket is copied up to this size. */
const COPIED_BYTES_MAX = 16 * 1024

/** Who hears of a socket. Called with bytes that are valid during the call only. */
export interface SocketOwner {
  received(input: Buffer, start: number, end: number): void
  /** The peer will send no more. */
  ended(): void
  /** What was queued has left. */
  drained(): void
  /** It is over. May be said twice. */
  closed(): void
}

/** What we need of libuv's handle behind a socket. */
interface Handle {
  readonly fd?: number
  useUserBuffer?: unknown
  /** @returns 0, or a negative errno. Whether the bytes were taken at once stands in `streamBaseState` afterwards. */
  writeBuffer(request: WriteRequest, bytes: Buffer): number
}
interface WithHandle {
  _handle?: Handle | null
}

/** libuv's request behind a write. One that was taken at once is not used by anybody, and serves for the next. */
interface WriteRequest {
  oncomplete?: (status: number) => void
  /** Keeps the bytes alive while they are queued. */
  buffer?: Buffer
}
interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest
  readonly streamBaseState: Int32Array
  readonly kLastWriteWasAsync: number
}

const binding = streamBinding()
let spareRequest: WriteRequest | null = binding === null ? null : new binding.WriteWrap()

/** The buffer that all sockets read into, with room in front for the rest of a request that came before. */
const input = Buffer.allocUnsafeSlow(INPUT_HEADROOM + INPUT_BYTES)
const landing = input.subarray(INPUT_HEADROOM)

export type ReadMode = 'shared' | 'events'

export class SocketTransport implements Transport {
  readonly addr: string
  readonly laddr: string
  readonly isLoopback: boolean
  readonly fd: number
  /** It speaks TLS, and the handshake is over. */
  readonly isSecure: boolean
  /** The peer has shown a certificate that an authority of ours has signed. */
  readonly isVouchedFor: boolean
  /** How it is read. */
  readonly mode: ReadMode
  readonly #socket: Socket
  readonly #owner: SocketOwner
  /** Where bytes are written; null: to the socket. */
  readonly #handle: Handle | null
  /** Bytes written to the handle that the kernel has not taken yet. */
  #queued = 0
  /** The peer has closed its side. */
  #hasEnded = false

  /** @param accepted a socket that nobody has read from (`pauseOnConnect`). */
  constructor(accepted: Socket, wanted: ReadMode, ownerOf: (transport: SocketTransport) => SocketOwner) {
    this.addr = address(accepted.remoteAddress, accepted.remotePort)
    this.laddr = address(accepted.localAddress, accepted.localPort)
    this.isLoopback = isLoopbackAddress(accepted.remoteAddress ?? '')
    const handle = (accepted as WithHandle)._handle
    this.fd = handle?.fd ?? -1
    this.isSecure = accepted instanceof TLSSocket
    this.isVouchedFor = accepted instanceof TLSSocket && accepted.authorized
    // Events cannot come before the next turn of the loop, so the owner is known when they do.
    let owner: SocketOwner | null = null
    const shared =
      wanted === 'shared' && !this.isSecure
        ? takeHandle(accepted, (bytes) => owner!.received(input, INPUT_HEADROOM, INPUT_HEADROOM + bytes))
        : null
    this.mode = shared === null ? 'events' : 'shared'
    const socket = shared ?? accepted
    this.#socket = socket
    this.#handle = shared === null || binding === null ? null : (handle as Handle)
    owner = ownerOf(this)
    this.#owner = owner
    if (shared === null) socket.on('data', (bytes: Buffer) => owner.received(bytes, 0, bytes.length))
    socket.on('end', () => {
      this.#hasEnded = true
      owner.ended()
      // 'close' comes after what others ask in this turn of the loop: they would be told of a session that is over.
      if (socket.destroyed) owner.closed()
    })
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
    return this.#socket.writableLength + this.#queued
  }

  write(bytes: Buffer): boolean {
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) return true
    if (this.#handle !== null) return this.#writeToHandle(this.#handle, bytes)
    if (this.isSecure) return this.#writeSecurely(bytes)
    socket.write(bytes)
    return socket.writableLength === 0
  }

  /** Encrypted bytes never leave at once. A copy of a few lets the turn's buffer be used again; for many, that is worth less. */
  #writeSecurely(bytes: Buffer): boolean {
    const isSmall = bytes.length <= COPIED_BYTES_MAX && this.#socket.writableLength === 0
    this.#socket.write(isSmall ? Buffer.from(bytes) : bytes)
    return isSmall
  }

  #writeToHandle(handle: Handle, bytes: Buffer): boolean {
    const { streamBaseState, kLastWriteWasAsync, WriteWrap } = binding!
    const request = spareRequest ?? new WriteWrap()
    if (handle.writeBuffer(request, bytes) !== 0) {
      // The peer is gone; 'close' tells the rest.
      spareRequest = null
      this.#socket.destroy()
      return true
    }
    if (streamBaseState[kLastWriteWasAsync] === 0) {
      spareRequest = request
      return true
    }
    spareRequest = null
    this.#queued += bytes.length
    request.buffer = bytes
    request.oncomplete = (status) => {
      this.#queued -= bytes.length
      if (status < 0) this.#socket.destroy()
      else if (this.#queued === 0) this.#owner.drained()
    }
    return false
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /**
   * What the peer still sends is read and thrown away until it has seen our end: to close over unread bytes resets the connection, and a
   * peer that is reset while it writes never gets to read our last replies.
   */
  end(): void {
    if (this.#hasEnded) return this.isSecure || this.queued > 0 ? this.#socket.destroySoon() : this.destroy()
    this.#socket.end()
    this.#socket.resume()
  }

  /** The only words to a client that is not let in; it is not waited for. */
  refuse(words: Buffer): void {
    this.#socket.write(words)
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

/** Node's own view of its streams; null where it does not show it any more. */
function streamBinding(): StreamBinding | null {
  try {
    const found = (process as { binding?: (name: string) => Partial<StreamBinding> }).binding?.('stream_wrap')
    const isWhole =
      typeof found?.WriteWrap === 'function' && found.streamBaseState instanceof Int32Array && typeof found.kLastWriteWasAsync === 'number'
    return isWhole ? (found as StreamBinding) : null
  } catch {
    return null
  }
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
