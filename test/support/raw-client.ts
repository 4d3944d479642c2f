// A RESP client that returns replies as the bytes they are, so that two servers can be compared byte for byte.
//
// It only finds where a reply ends (RESP2 and RESP3); `decodeReply` is for tests that want values instead. Replies come in the order
// of the requests; RESP3 pushes are set apart in `pushes`.

import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectSecurely } from 'node:tls'
import type { ConnectionOptions } from 'node:tls'
import { within } from './eventually.ts'

export type Argument = string | Uint8Array | number | bigint

/** An error reply, decoded. A value, not a throw: what a test asks for may well be an error. */
export class ErrorReply {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** Maps decode to Map, sets to Set, bulk and simple strings to latin1 strings, integers beyond 2^53 to bigint. */
export type Value = null | boolean | number | bigint | string | ErrorReply | Value[] | Map<Value, Value> | Set<Value>

interface Waiter {
  readonly resolve: (reply: Buffer) => void
  readonly reject: (reason: Error) => void
}

export class RawClient {
  readonly socket: Socket
  /** RESP3 push messages that came so far. */
  readonly pushes: Buffer[] = []
  /** Resolves when the connection is over, however it ended. */
  readonly closed: Promise<void>
  #input: Buffer = Buffer.alloc(0)
  readonly #replies: Buffer[] = []
  readonly #waiters: Waiter[] = []
  #over: Error | null = null

  private constructor(socket: Socket) {
    this.socket = socket
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#end(new Error('the connection is closed'))
        resolve()
      })
    })
    socket.on('error', (error) => this.#end(error))
    socket.on('data', (chunk) => this.#take(chunk))
  }

  /** @param tls speaks TLS, so. */
  static connect(port: number, host = '127.0.0.1', tls: ConnectionOptions | null = null): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = tls === null ? connect({ port, host, noDelay: true }) : connectSecurely({ port, host, ...tls })
      socket.once('error', reject)
      socket.once(tls === null ? 'connect' : 'secureConnect', () => {
        socket.removeListener('error', reject)
        resolve(new RawClient(socket))
      })
    })
  }

  /** Sends bytes as they are. */
  send(bytes: string | Uint8Array): void {
    this.socket.write(bytes)
  }

  /** The next reply's bytes. */
  read(deadlineMs = 30_000): Promise<Buffer> {
    const ready = this.#replies.shift()
    if (ready !== undefined) return Promise.resolve(ready)
    if (this.#over !== null) return Promise.reject(this.#over)
    return within('a reply', new Promise<Buffer>((resolve, reject) => this.#waiters.push({ resolve, reject })), deadlineMs)
  }

  /** One command, its reply's bytes. */
  command(...args: readonly Argument[]): Promise<Buffer> {
    this.send(encodeRequest(args))
    return this.read()
  }

  /** Several commands in one write, their replies' bytes. */
  pipeline(commands: readonly (readonly Argument[])[]): Promise<Buffer[]> {
    this.send(Buffer.concat(commands.map(encodeRequest)))
    return Promise.all(commands.map(() => this.read()))
  }

  /** One command, its reply decoded. */
  async call(...args: readonly Argument[]): Promise<Value> {
    return decodeReply(await this.command(...args))
  }

  close(): Promise<void> {
    this.socket.destroy()
    return this.closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #take(chunk: Buffer): void {
    this.#input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk])
    let at = 0
    for (;;) {
      const end = replyEnd(this.#input, at)
      if (end === -1) break
      const reply = Buffer.from(this.#input.subarray(at, end))
      at = end
      if (reply[0] === 0x3e) this.pushes.push(reply)
      else {
        const waiter = this.#waiters.shift()
        if (waiter === undefined) this.#replies.push(reply)
        else waiter.resolve(reply)
      }
    }
    this.#input = this.#input.subarray(at)
  }

  #end(reason: Error): void {
    this.#over ??= reason
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#over)
  }
}

export function encodeRequest(args: readonly Argument[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from(`*${args.length}\r\n`)]
  for (const argument of args) {
    const bytes = argument instanceof Uint8Array ? argument : Buffer.from(String(argument))
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'))
  }
  return Buffer.concat(parts)
}

/** Where the reply that starts at `at` ends; -1 if it is not all there. */
export function replyEnd(bytes: Buffer, at: number): number {
  const eol = bytes.indexOf('\r\n', at, 'latin1')
  if (eol === -1) return -1
  const next = eol + 2
  const type = String.fromCharCode(bytes[at])
  if ('+-:_#,('.includes(type)) return next
  const count = Number(bytes.toString('latin1', at + 1, eol))
  if ('$!='.includes(type)) {
    if (count < 0) return next
    return next + count + 2 <= bytes.length ? next + count + 2 : -1
  }
  if (!'*~>%|'.includes(type) || !Number.isInteger(count)) throw new Error(`not a reply: ${bytes.toString('latin1', at, at + 40)}`)
  let end = next
  const children = type === '%' || type === '|' ? count * 2 : count
  for (let i = 0; i < children && end !== -1; i++) end = end >= bytes.length ? -1 : replyEnd(bytes, end)
  // An attribute is followed by the reply it describes.
  return type === '|' && end !== -1 ? replyEnd(bytes, end) : end
}

export function decodeReply(bytes: Buffer): Value {
  let at = 0
  const line = (): string => {
    const eol = bytes.indexOf('\r\n', at, 'latin1')
    const text = bytes.toString('latin1', at + 1, eol)
    at = eol + 2
    return text
  }
  const body = (length: number): string => {
    const text = bytes.toString('latin1', at, at + length)
    at += length + 2
    return text
  }
  const value = (): Value => {
    const type = String.fromCharCode(bytes[at])
    const head = line()
    switch (type) {
      case '+':
        return head
      case '-':
        return new ErrorReply(head)
      case ':':
      case '(': {
        const n = BigInt(head)
        return Number.isSafeInteger(Number(n)) ? Number(n) : n
      }
      case '_':
        return null
      case '#':
        return head === 't'
      case ',':
        return head === 'inf' ? Infinity : head === '-inf' ? -Infinity : Number(head)
      case '$':
        return head === '-1' ? null : body(Number(head))
      case '=':
        return body(Number(head)).slice(4)
      case '!':
        return new ErrorReply(body(Number(head)))
      case '*':
      case '>':
        return head === '-1' ? null : Array.from({ length: Number(head) }, value)
      case '~':
        return new Set(Array.from({ length: Number(head) }, value))
      case '%':
        return new Map(Array.from({ length: Number(head) }, () => [value(), value()]))
      default:
        throw new Error(`not a reply: ${type}${head}`)
    }
  }
  return value()
}
