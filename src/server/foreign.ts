// Connections that speak something else: a browser that was made to send a POST here, a TLS client on the plain port.
//
// A web page can make its visitor's browser send requests to any address that the visitor reaches. Such bytes are no commands, whatever
// their lines look like, so the connection is closed before any of them runs.

import type { Request } from '../resp/request.ts'

const TLS_HANDSHAKE = 0x16
const LINE_MAX = 8192
const LF = 10
const VERSION = /^HTTP\/\d(?:\.\d)?$/

/** The first bytes of a connection: do they begin something that is not RESP? */
export function isForeign(bytes: Buffer, start: number, end: number): boolean {
  if (bytes[start] === TLS_HANDSHAKE && (start + 1 === end || bytes[start + 1] === 3)) return true
  const lineEnd = bytes.indexOf(LF, start)
  const stop = Math.min(lineEnd < 0 ? end : lineEnd, end, start + LINE_MAX)
  return / HTTP\/\d(?:\.\d)?\r?$/.test(bytes.toString('latin1', Math.max(start, stop - 16), stop))
}

const WORDS = ['POST', 'PUT', 'HEAD', 'OPTIONS', 'CONNECT', 'HOST:']

/** The first line of a connection, when it came in pieces: does it end as one of HTTP? */
export function isForeignLine(request: Request): boolean {
  return request.argc > 1 && VERSION.test(request.untilNul(request.argc - 1, 16))
}

/** The name of an unknown command: is it a word of HTTP? */
export function isForeignWord(request: { is(i: number, upper: string): boolean }): boolean {
  return WORDS.some((word) => request.is(0, word))
}
