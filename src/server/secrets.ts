// Which arguments of a request nobody may read again: passwords lie in no log, and MONITOR shows none.
//
// As in redis-server: those of AUTH, HELLO ... AUTH and ACL SETUSER, and what CONFIG SET gives to a secret option. And what ACL DRYRUN tries,
// which may be any of these.

import type { Request } from '../resp/request.ts'
import { OPTIONS } from './options.ts'

export const HIDDEN = '(redacted)'

/** The arguments that are shown as HIDDEN; null: there are none. */
export function secretsOf(request: Request): ReadonlySet<number> | null {
  if (request.is(0, 'AUTH')) return from(request, 1)
  if (request.is(0, 'HELLO')) return ofHello(request)
  if (request.argc < 3) return null
  if (request.is(0, 'ACL')) return request.is(1, 'SETUSER') ? from(request, 2) : request.is(1, 'DRYRUN') ? from(request, 4) : null
  return request.is(0, 'CONFIG') && request.is(1, 'SET') ? ofConfigSet(request) : null
}

function from(request: Request, first: number): ReadonlySet<number> {
  const hidden = new Set<number>()
  for (let i = first; i < request.argc; i++) hidden.add(i)
  return hidden
}

function ofHello(request: Request): ReadonlySet<number> | null {
  const hidden = new Set<number>()
  for (let i = 2; i < request.argc; i++) {
    if (!request.is(i, 'AUTH')) continue
    if (i + 1 < request.argc) hidden.add(i + 1)
    if (i + 2 < request.argc) hidden.add(i + 2)
    i += 2
  }
  return hidden.size > 0 ? hidden : null
}

function ofConfigSet(request: Request): ReadonlySet<number> | null {
  const hidden = new Set<number>()
  for (let i = 2; i + 1 < request.argc; i += 2) {
    if (request.length(i) < 64 && OPTIONS.get(request.latin1(i).toLowerCase())?.secret === true) hidden.add(i + 1)
  }
  return hidden.size > 0 ? hidden : null
}
