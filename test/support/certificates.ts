// Certificates for tests: an authority of one's own, and what it has signed. Made by openssl, gone with the temporary directory.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import { hasProgram } from './server.ts'
import { tempDir } from './temp-dir.ts'

/** `describe.skipIf(!HAS_OPENSSL)`: Node reads certificates, but makes none. */
export const HAS_OPENSSL = hasProgram('openssl')

/** The paths of a certificate and its key. */
export interface Signed {
  readonly cert: string
  readonly key: string
}

export interface SignOptions {
  /** The key is locked with this. */
  readonly pass?: string
  readonly days?: number
}

export class Authority implements Signed {
  readonly dir: string
  readonly cert: string
  readonly key: string

  constructor(name = 'authority') {
    this.dir = tempDir()
    this.cert = join(this.dir, 'ca.crt')
    this.key = join(this.dir, 'ca.key')
    request(this, name, ['-nodes', '-days', '30', '-addext', 'basicConstraints=critical,CA:TRUE'])
  }

  /** A certificate for this name, on this machine. */
  sign(name: string, { pass, days = 30 }: SignOptions = {}): Signed {
    const signed = { cert: join(this.dir, `${name}.crt`), key: join(this.dir, `${name}.key`) }
    request(signed, name, [
      ...(pass === undefined ? ['-nodes'] : ['-passout', `pass:${pass}`]),
      ...['-days', String(days), '-CA', this.cert, '-CAkey', this.key],
      ...['-addext', 'basicConstraints=critical,CA:FALSE', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
    ])
    return signed
  }

  /** How a client that trusts this authority connects, with a certificate or without. */
  trusted(client?: Signed): ConnectionOptions {
    const ca = readFileSync(this.cert)
    return client === undefined ? { ca } : { ca, cert: readFileSync(client.cert), key: readFileSync(client.key) }
  }
}

function request({ cert, key }: Signed, name: string, more: readonly string[]): void {
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
  execFileSync('openssl', ['req', '-x509', ...curve, '-subj', `/CN=${name}`, '-keyout', key, '-out', cert, ...more], { stdio: 'pipe' })
}
