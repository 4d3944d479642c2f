// Where a broker is: `amqp://user:password@host:port/vhost?heartbeat=10`, taken apart once. The password never leaves by a name or a message.

import { StockdError } from '../../../base/error.ts'

const HEARTBEAT_S = 10

export interface AmqpAddress {
  readonly protocol: 'amqp' | 'amqps'
  readonly hostname: string
  readonly port: number
  readonly username: string
  readonly password: string
  readonly vhost: string
  /** Seconds. Without it a connection to a machine that vanished looks alive for hours. */
  readonly heartbeat: number
  /** For messages: without user and password. */
  readonly name: string
}

/** One address, or several with commas or spaces between. @throws StockdError BAD_OPTION in words, without the text itself */
export function parseAmqpAddresses(text: string): readonly AmqpAddress[] {
  const urls = text.split(/[\s,]+/).filter((url) => url !== '')
  if (urls.length === 0) throw bad('names no broker')
  return urls.map((url) => parseOne(url))
}

function parseOne(text: string): AmqpAddress {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw bad('is not a URL; characters of the password that mean something in a URL are written as %40 for @, %2F for /, and so on')
  }
  if (url.protocol !== 'amqp:' && url.protocol !== 'amqps:') throw bad('begins neither with amqp:// nor with amqps://')
  if (url.hostname === '') throw bad('has no host')
  const isTls = url.protocol === 'amqps:'
  const hostname = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? (isTls ? 5671 : 5672) : Number(url.port)
  const path = url.pathname.replace(/^\//, '')
  if (path.includes('/')) throw bad('has a vhost with a slash in it; write it as %2F')
  const vhost = path === '' ? '/' : decoded(path)
  const heartbeat = url.searchParams.get('heartbeat') ?? String(HEARTBEAT_S)
  if (!/^\d{1,4}$/.test(heartbeat)) throw bad('has a heartbeat that is not a number of seconds')
  const isGuest = url.username === '' && url.password === ''
  return {
    protocol: isTls ? 'amqps' : 'amqp',
    hostname,
    port,
    username: isGuest ? 'guest' : decoded(url.username),
    password: isGuest ? 'guest' : decoded(url.password),
    vhost,
    heartbeat: Number(heartbeat),
    name: `${url.protocol}//${url.hostname}:${port}${vhost === '/' ? '' : `/${encodeURIComponent(vhost)}`}`,
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw bad('has a % that is not followed by two hexadecimal digits; write it as %25')
  }
}

function bad(what: string): StockdError {
  return new StockdError('BAD_OPTION', `the address of the broker ${what}`)
}
