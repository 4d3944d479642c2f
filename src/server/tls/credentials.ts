// What a node shows to clients that speak TLS, and what it asks of theirs: certificate, key, authorities, protocols, ciphers.
//
// Everything is read and tried at once, so what comes out of here works for the next handshake. What does not is refused in words that
// name the file or the option, and what is wrong with it; nothing of it is in force then.

import { createPrivateKey, constants, X509Certificate } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createSecureContext, DEFAULT_CIPHERS } from 'node:tls'
import type { TlsOptions } from 'node:tls'
import { StockdError } from '../../base/error.ts'
import type { OptionValues } from '../options.ts'

/** A file of certificates is small; what is larger is another file. */
const FILE_BYTES_MAX = 4 * 1024 * 1024
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
const SOON_MS = 14 * 86400_000

export interface Credentials {
  /** For Node's TLS server. */
  readonly options: TlsOptions
  /** Who the certificate says we are. */
  readonly subject: string
  /** Instant at which it ends. */
  readonly validUntil: number
  /** What an operator should know, though it works. */
  readonly warnings: readonly string[]
}

/** Reads what the options name. Throws StockdError BAD_OPTION, and nothing else: whatever files hold must not end a node that runs. */
export function readCredentials(values: OptionValues, now: number): Credentials {
  try {
    return read(values, now)
  } catch (error) {
    if (error instanceof StockdError) throw error
    throw refusal(`certificate and key cannot be used: ${oneLine(error instanceof Error ? error.message : String(error))}`, error)
  }
}

function read(values: OptionValues, now: number): Credentials {
  const certFile = values['tls-cert-file']
  const keyFile = values['tls-key-file']
  if (certFile === '')
    throw refusal('tls-cert-file is needed: a PEM file with the certificate of this node, those that signed it behind it')
  if (keyFile === '') throw refusal('tls-key-file is needed: a PEM file with the private key of the certificate')
  const cert = readText('tls-cert-file', certFile)
  const certificate = certificatesOf('tls-cert-file', certFile, cert)[0]
  const key = privateKey(keyFile, values['tls-key-file-pass'])
  if (!certificate.checkPrivateKey(key)) {
    throw refusal(`the key of tls-key-file ${quoted(keyFile)} does not fit the certificate of tls-cert-file ${quoted(certFile)}`)
  }
  const ca = authorities(values)
  const asksForCertificates = values['tls-auth-clients'] !== 'no'
  if (asksForCertificates && ca.length === 0) {
    throw refusal(
      `tls-auth-clients ${values['tls-auth-clients']} needs tls-ca-cert-file or tls-ca-cert-dir: who has signed the certificates of ` +
        'clients; or tls-auth-clients no, and a password',
    )
  }
  const options: TlsOptions = {
    cert,
    key: key.export({ type: 'pkcs8', format: 'pem' }),
    // An empty list is not Node's default, which would be every authority of the public web.
    ca: asksForCertificates ? ca : [],
    requestCert: asksForCertificates,
    rejectUnauthorized: values['tls-auth-clients'] === 'yes',
    ...versions(values['tls-protocols']),
    ciphers: ciphers(values['tls-ciphersuites'], values['tls-ciphers']),
    honorCipherOrder: values['tls-prefer-server-ciphers'],
    sessionTimeout: values['tls-session-cache-timeout'],
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | (values['tls-session-caching'] ? 0 : constants.SSL_OP_NO_TICKET),
  }
  tried(options, values)
  const validUntil = Date.parse(certificate.validTo)
  return { options, subject: oneLine(certificate.subject), validUntil, warnings: warningsOf(certificate, now, keyFile) }
}

/** OpenSSL says what it does not take only when it is given all of it. */
function tried(options: TlsOptions, values: OptionValues): void {
  try {
    createSecureContext(options)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const ofCiphers = `tls-ciphers ${quoted(values['tls-ciphers'])}, tls-ciphersuites ${quoted(values['tls-ciphersuites'])}`
    if (code === 'ERR_SSL_NO_CIPHER_MATCH' || /cipher/i.test(message)) throw refusal(`${ofCiphers}: OpenSSL knows no such cipher`, error)
    throw refusal(`the certificate of tls-cert-file ${quoted(values['tls-cert-file'])} cannot be used: ${oneLine(message)}`, error)
  }
}

function readText(option: string, path: string): string {
  try {
    const stats = statSync(path)
    if (stats.isDirectory()) throw refusal(`${option} ${quoted(path)} is a directory`)
    // A pipe would be waited for, a device read for ever.
    if (!stats.isFile()) throw refusal(`${option} ${quoted(path)} is no plain file`)
    if (stats.size > FILE_BYTES_MAX) throw refusal(`${option} ${quoted(path)} is too large for a file of certificates or keys`)
    return readFileSync(path, 'latin1')
  } catch (error) {
    if (error instanceof StockdError) throw error
    throw refusal(`${option} ${quoted(path)} ${whyNotRead(error)}`, error)
  }
}

function whyNotRead(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'is not there'
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this user'
  return `cannot be read (${code ?? 'unknown error'})`
}

/** The certificates of a PEM file, one at least. */
function certificatesOf(option: string, path: string, pem: string): X509Certificate[] {
  const found = pem.match(CERTIFICATE) ?? []
  if (found.length === 0) throw refusal(`${option} ${quoted(path)} has no certificate in it (PEM: -----BEGIN CERTIFICATE-----)`)
  return found.map((text, i) => {
    try {
      return new X509Certificate(text)
    } catch (error) {
      throw refusal(`${option} ${quoted(path)}: certificate ${i + 1} in it is damaged`, error)
    }
  })
}

function privateKey(path: string, pass: string): KeyObject {
  const pem = readText('tls-key-file', path)
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    throw refusal(`tls-key-file ${quoted(path)} has no private key in it (PEM: -----BEGIN PRIVATE KEY-----)`)
  }
  try {
    return createPrivateKey({ key: pem, ...(pass === '' ? {} : { passphrase: pass }) })
  } catch (error) {
    const isEncrypted = /ENCRYPTED/.test(pem)
    if (isEncrypted && pass === '') {
      throw refusal(`tls-key-file ${quoted(path)} is locked and there is no tls-key-file-pass: set STOCKD_TLS_KEY_FILE_PASS_FILE`, error)
    }
    if (isEncrypted) throw refusal(`tls-key-file ${quoted(path)}: tls-key-file-pass does not open it`, error)
    throw refusal(`tls-key-file ${quoted(path)}: the private key in it is damaged`, error)
  }
}

/** Certificates that those of clients may be signed with, of the file and of every file of the directory. */
function authorities(values: OptionValues): string[] {
  const found: string[] = []
  const file = values['tls-ca-cert-file']
  if (file !== '')
    for (const { raw } of certificatesOf('tls-ca-cert-file', file, readText('tls-ca-cert-file', file))) found.push(pemOf(raw))
  const directory = values['tls-ca-cert-dir']
  if (directory === '') return found
  for (const name of namesOf(directory)) {
    const path = join(directory, name)
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) continue
    const pem = readText('tls-ca-cert-dir', path)
    // Others lie there too: a README, revocation lists.
    if (pem.search(CERTIFICATE) >= 0) for (const { raw } of certificatesOf('tls-ca-cert-dir', path, pem)) found.push(pemOf(raw))
  }
  if (found.length === 0) throw refusal(`tls-ca-cert-dir ${quoted(directory)}: none of its files has a certificate in it`)
  return found
}

function namesOf(directory: string): string[] {
  try {
    return readdirSync(directory).toSorted()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw refusal(`tls-ca-cert-dir ${quoted(directory)} ${code === 'ENOTDIR' ? 'is no directory' : whyNotRead(error)}`, error)
  }
}

function pemOf(der: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
}

function versions(protocols: readonly string[]): Pick<TlsOptions, 'minVersion' | 'maxVersion'> {
  const has = (version: string): boolean => protocols.length === 0 || protocols.some((word) => word.toLowerCase() === version)
  return { minVersion: has('tlsv1.2') ? 'TLSv1.2' : 'TLSv1.3', maxVersion: has('tlsv1.3') ? 'TLSv1.3' : 'TLSv1.2' }
}

/** OpenSSL keeps the suites of TLS 1.3 and the ciphers before it apart; Node takes both in one list. Empty: Node's. */
function ciphers(suites: string, older: string): string {
  const known = DEFAULT_CIPHERS.split(':')
  const isSuite = (name: string): boolean => name.startsWith('TLS_')
  return [
    ...(suites === '' ? known.filter(isSuite) : suites.split(':')),
    ...(older === '' ? known.filter((name) => !isSuite(name)) : older.split(':')),
  ].join(':')
}

function warningsOf(certificate: X509Certificate, now: number, keyFile: string): string[] {
  const warnings: string[] = []
  const from = Date.parse(certificate.validFrom)
  const until = Date.parse(certificate.validTo)
  if (until <= now) warnings.push(`the certificate of tls-cert-file has ended: ${certificate.validTo}`)
  else if (until - now < SOON_MS) warnings.push(`the certificate of tls-cert-file ends soon: ${certificate.validTo}`)
  if (from > now) warnings.push(`the certificate of tls-cert-file is not valid before ${certificate.validFrom}`)
  if ((statSync(keyFile).mode & 0o004) !== 0) warnings.push(`every user of this machine may read tls-key-file ${quoted(keyFile)}`)
  return warnings
}

function refusal(reason: string, cause?: unknown): StockdError {
  return new StockdError('BAD_OPTION', reason, cause === undefined ? undefined : { cause })
}

const quoted = (path: string): string => JSON.stringify(path)
const oneLine = (text: string): string => text.replaceAll(/\s*\n\s*/g, ', ')
