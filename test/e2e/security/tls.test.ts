// TLS: who gets in, with which client, by which certificate; how certificates change while the node runs; and that a session over TLS
// is a session like any other.

import { once } from 'node:events'
import { copyFileSync, writeFileSync } from 'node:fs'
import { connect as connectPlainly } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { connect as connectSecurely } from 'node:tls'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { Redis as Ioredis6 } from 'ioredis'
import { Redis as Ioredis5 } from 'ioredis5'
import { createClient } from 'redis'
import { beforeAll, describe, expect, it } from 'vitest'
import { millis } from '../../../src/base/brand.ts'
import { StockdError } from '../../../src/base/error.ts'
import { readFlags } from '../../../src/server/options/flags.ts'
import { startOptions } from '../../../src/server/options/start.ts'
import { readCredentials } from '../../../src/server/tls/credentials.ts'
import { Authority, HAS_OPENSSL } from '../../support/certificates.ts'
import type { Signed } from '../../support/certificates.ts'
import { eventually, within } from '../../support/eventually.ts'
import { freePort } from '../../support/port.ts'
import { Scrape } from '../../support/prometheus-text.ts'
import { encodeRequest, ErrorReply, RawClient } from '../../support/raw-client.ts'
import { run } from '../../support/run.ts'
import { hasProgram, startNode, STOCKD } from '../../support/server.ts'
import type { Server } from '../../support/server.ts'
import { tempDir } from '../../support/temp-dir.ts'

/** Of this machine, but not its loopback. */
const ADDRESS = Object.values(networkInterfaces())
  .flat()
  .find((entry) => entry !== undefined && entry.family === 'IPv4' && !entry.internal)?.address

/** What a client hears, depending on how far it has come. */
const REFUSED = /closed|ECONNRESET|EPIPE|disconnected|alert|version|hang up/i

const HAS_PYTHON_REDIS = hasProgram('python3')

describe.skipIf(!HAS_OPENSSL)('TLS', () => {
  let authority: Authority
  let stranger: Authority
  let nodeCert: Signed
  let clientCert: Signed
  let strangeCert: Signed
  beforeAll(() => {
    authority = new Authority()
    stranger = new Authority('stranger')
    nodeCert = authority.sign('node')
    clientCert = authority.sign('shop')
    strangeCert = stranger.sign('thief')
  })

  const certArgs = ({ cert, key }: Signed): string[] => ['--tls-cert-file', cert, '--tls-key-file', key]
  const openArgs = (): string[] => [...certArgs(nodeCert), '--tls-auth-clients', 'no']
  const mutualArgs = (): string[] => [...certArgs(nodeCert), '--tls-ca-cert-file', authority.cert]

  /** A TLS connection that has shaken hands, or why not. */
  function shake(port: number, options: ConnectionOptions): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const socket = connectSecurely({ port, host: '127.0.0.1', ...options }, () => resolve(socket))
      socket.once('error', reject)
    })
  }
  /** The name in the certificate that a new connection is shown. */
  async function shown(port: number, options: ConnectionOptions): Promise<string> {
    const socket = await shake(port, options)
    const { subject } = socket.getPeerCertificate()
    socket.destroy()
    return String(subject.CN)
  }
  async function info(client: RawClient, field: string): Promise<string> {
    return new RegExp(`^${field}:(.*)\r$`, 'm').exec(String(await client.call('INFO', 'all')))?.[1] ?? ''
  }

  describe.each([
    ['without certificates of clients', openArgs, (): ConnectionOptions => authority.trusted()],
    ['mutual', mutualArgs, (): ConnectionOptions => authority.trusted(clientCert)],
  ])('clients live their normal life: %s', (_, args, tls) => {
    let node: Server
    beforeAll(async () => {
      node = await startNode({ args: args(), tls: tls() })
    })
    const cliTls = (): string[] => ['--tls', '--cacert', authority.cert, '--cert', clientCert.cert, '--key', clientCert.key]

    it.each([
      ['ioredis 6', (port: number) => new Ioredis6({ port, host: '127.0.0.1', tls: tls() })],
      ['ioredis 5', (port: number) => new Ioredis5({ port, host: '127.0.0.1', tls: tls() })],
    ] as const)('%s', async (name, connect) => {
      const client = connect(node.port)
      const value = 'x'.repeat(3_000_000)
      expect(await client.set(name, value)).toBe('OK')
      expect((await client.get(name)) === value).toBe(true)
      expect(await client.pipeline().incr('n').incr('n').exec()).toHaveLength(2)
      await client.quit()
    })

    it('node-redis', async () => {
      const client = createClient({ socket: { port: node.port, host: '127.0.0.1', tls: true, ...tls() } })
      await client.connect()
      expect(await client.set('a', '1')).toBe('OK')
      expect(await client.get('a')).toBe('1')
      await client.close()
    })

    it.skipIf(!hasProgram('redis-cli'))('redis-cli', async () => {
      const told = await run(['redis-cli', '-p', String(node.port), ...cliTls()], { input: 'set k v\nget k\nstock.create s 5\n' })
      expect(told.stdout).toBe('OK\nv\n1\n')
    })

    it.skipIf(!HAS_PYTHON_REDIS)("python3's redis", async ({ skip }) => {
      const script = [
        'import redis, sys',
        'r = redis.Redis(port=int(sys.argv[1]), ssl=True, ssl_ca_certs=sys.argv[2], ssl_certfile=sys.argv[3], ssl_keyfile=sys.argv[4])',
        "print(r.set('p', 'x' * 100000), len(r.get('p')), r.pipeline().incr('q').incr('q').execute())",
      ].join('\n')
      if ((await run(['/usr/bin/python3', '-c', 'import redis'])).code !== 0) return skip('python3-redis is not installed')
      const told = await run(['/usr/bin/python3', '-c', script, String(node.port), authority.cert, clientCert.cert, clientCert.key])
      expect(told.stdout, told.stderr).toBe('True 100000 [1, 2]\n')
    })

    it('INFO, CLIENT LIST and the ready line tell the port', async () => {
      await using client = await node.connect()
      expect(await info(client, 'tcp_port')).toBe(String(node.port))
      expect(await client.call('CLIENT', 'LIST')).toMatch(
        new RegExp(`addr=127\\.0\\.0\\.1:\\d+ laddr=127\\.0\\.0\\.1:${node.port} fd=\\d+ `),
      )
      expect(node.log()).toMatch(new RegExp(`ready to accept connections port=0 tls_port=${node.port} certificate=CN=node until=20`))
      expect(node.log()).toMatch(new RegExp(`redis-cli -p ${node.port} --tls\n`))
    })
  })

  describe('a session over TLS is a session', () => {
    it('100,000 requests, then the client closes its side, then it reads: every reply, in order', async () => {
      await using node = await startNode({ args: openArgs(), tls: authority.trusted() })
      const n = 100_000
      const request = encodeRequest(['INCR', 'many'])
      const socket = connectSecurely({
        port: node.port,
        host: '127.0.0.1',
        allowHalfOpen: true,
        ...authority.trusted(),
      } as ConnectionOptions)
      socket.pause()
      socket.end(Buffer.concat(Array.from({ length: n }, () => request)))
      const chunks: Buffer[] = []
      const over = new Promise<void>((resolve) => {
        socket.on('data', (chunk: Buffer) => chunks.push(chunk))
        socket.on('close', () => resolve())
      })
      socket.once('finish', () => socket.resume())
      await within('the end', over, 30_000)
      expect(Buffer.concat(chunks).toString() === Array.from({ length: n }, (_, i) => `:${i + 1}\r\n`).join('')).toBe(true)
    })

    it('who does not read is not read from, costs little, and gets all of it when it reads again', async () => {
      await using node = await startNode({ args: openArgs(), tls: authority.trusted() })
      await using greedy = await node.connect()
      await using other = await node.connect()
      await other.call('SET', 'large', 'x'.repeat(100_000))
      const before = Number(await info(other, 'used_memory'))
      greedy.socket.pause()
      const get = encodeRequest(['GET', 'large'])
      greedy.send(Buffer.concat(Array.from({ length: 1000 }, () => get)))
      await eventually('it is not read any more', async () => /omem=[1-9]\d{6}/.test(String(await other.call('CLIENT', 'LIST'))))
      for (let i = 0; i < 100; i++) expect(await other.call('PING')).toBe('PONG')
      expect(Number(await info(other, 'used_memory')) - before).toBeLessThan(32 * 1024 * 1024)
      greedy.socket.resume()
      for (let i = 0; i < 1000; i++) expect((await greedy.read()).length).toBe(100_011)
    })

    it('a blocked client is woken, messages are pushed, QUIT ends it, SIGTERM answers who waits', async () => {
      await using node = await startNode({ args: openArgs(), tls: authority.trusted() })
      await using waiting = await node.connect()
      await using listening = await node.connect()
      await using other = await node.connect()
      waiting.send(encodeRequest(['BLPOP', 'queue', 0]))
      await eventually('it waits', async () => (await info(other, 'blocked_clients')) === '1')
      await other.call('RPUSH', 'queue', 'job')
      expect((await waiting.read()).toString()).toBe('*2\r\n$5\r\nqueue\r\n$3\r\njob\r\n')
      expect((await listening.command('SUBSCRIBE', 'news')).toString()).toBe('*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n')
      expect(await other.call('PUBLISH', 'news', 'heard')).toBe(1)
      expect((await listening.read()).toString()).toBe('*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nheard\r\n')
      expect((await other.command('QUIT')).toString()).toBe('+OK\r\n')
      await within('its end', other.closed)
      waiting.send(Buffer.concat([encodeRequest(['SET', 'a', '1']), encodeRequest(['WAITAOF', 1, 0, 0])]))
      expect((await waiting.read()).toString()).toBe('+OK\r\n')
      expect((await waiting.read()).toString()).toBe('*2\r\n:1\r\n:0\r\n')
      expect(await node.stop()).toEqual({ code: 0, signal: null })
    })

    it('idle clients are closed, maxclients holds, DEBUG local knows who is here', async () => {
      const args = [...openArgs(), '--timeout', '1', '--maxclients', '2', '--enable-debug-command', 'local']
      await using node = await startNode({ args, tls: authority.trusted() })
      await using client = await node.connect()
      await eventually('only this one', async () => (await info(client, 'connected_clients')) === '1')
      expect(await client.call('DEBUG', 'JMAP')).not.toMatchObject({ text: expect.stringMatching(/not allowed/) })
      await using second = await node.connect()
      await expect(node.connect()).rejects.toThrow(REFUSED)
      await within('the end of the idle one', second.closed)
    })
  })

  describe('certificates of clients', () => {
    it('tls-auth-clients yes: without one, or with one of another authority, nobody gets in', async () => {
      const http = await freePort()
      await using node = await startNode({ args: [...mutualArgs(), '--http', String(http)], tls: authority.trusted(clientCert) })
      const stands = async (options: ConnectionOptions): Promise<string> => {
        // In TLS 1.3 the client is done before the node has looked at its certificate: the connection ends at its first answer.
        const client = await RawClient.connect(node.port, '127.0.0.1', options)
        return (await client.command('PING')).toString()
      }
      for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
        await expect(stands({ ...authority.trusted(), maxVersion })).rejects.toThrow(REFUSED)
        await expect(stands({ ...authority.trusted(strangeCert), maxVersion })).rejects.toThrow(REFUSED)
        expect(await stands({ ...authority.trusted(clientCert), maxVersion })).toBe('+PONG\r\n')
      }
      const scrape = new Scrape(await (await fetch(`http://127.0.0.1:${http}/metrics`)).text())
      expect(scrape.value('stockd_tls_handshakes_failed_total', { reason: 'no_certificate' })).toBe(2)
      expect(scrape.value('stockd_tls_handshakes_failed_total', { reason: 'bad_certificate' })).toBe(2)
      expect(scrape.value('stockd_tls_certificate_ends_timestamp_seconds')).toBeGreaterThan(Date.now() / 1000)
      expect(node.log().match(/a TLS handshake failed/g)).toHaveLength(1)
    })

    it.skipIf(ADDRESS === undefined)('a client with a certificate is no stranger to protected mode, one without is', async () => {
      const bind = ['--bind', '0.0.0.0']
      await using node = await startNode({ args: [...mutualArgs(), ...bind], tls: authority.trusted(clientCert) })
      await using client = await RawClient.connect(node.port, ADDRESS, { ...authority.trusted(clientCert), servername: 'localhost' })
      expect(await client.call('PING')).toBe('PONG')
      expect(await client.call('CONFIG', 'SET', 'tls-auth-clients', 'optional')).toBe('OK')
      for (const options of [authority.trusted(), authority.trusted(strangeCert)]) {
        await using denied = await RawClient.connect(node.port, ADDRESS, { ...options, servername: 'localhost' })
        expect((await denied.read()).toString()).toMatch(/^-DENIED /)
      }
      // Where clients without certificates may come, there has to be a password.
      const args = ['--port', '0', '--tls-port', String(node.port), '--dir', tempDir(), ...mutualArgs(), ...bind]
      const told = await run([process.execPath, STOCKD, ...args, '--tls-auth-clients', 'optional'])
      expect(told.stderr).toMatch(/lets other machines in and there is no password/)
    })

    it('tls-auth-clients optional: none is fine, a bad one counts for nothing', async () => {
      const args = [...mutualArgs(), '--tls-auth-clients', 'optional']
      await using node = await startNode({ args, tls: authority.trusted() })
      for (const options of [authority.trusted(), authority.trusted(clientCert), authority.trusted(strangeCert)]) {
        await using client = await RawClient.connect(node.port, '127.0.0.1', options)
        expect(await client.call('PING')).toBe('PONG')
      }
    })

    it('tls-ca-cert-dir: every file in it that has certificates counts', async () => {
      const directory = tempDir()
      copyFileSync(authority.cert, join(directory, 'a.pem'))
      copyFileSync(stranger.cert, join(directory, 'b.pem'))
      writeFileSync(join(directory, 'README'), 'no certificate')
      const args = [...certArgs(nodeCert), '--tls-ca-cert-dir', directory]
      await using node = await startNode({ args, tls: authority.trusted(clientCert) })
      await using client = await RawClient.connect(node.port, '127.0.0.1', authority.trusted(strangeCert))
      expect(await client.call('PING')).toBe('PONG')
    })
  })

  describe('versions and ciphers', () => {
    it('nothing below TLS 1.2; tls-protocols, tls-ciphers and tls-ciphersuites choose', async () => {
      await using node = await startNode({ args: openArgs(), tls: authority.trusted() })
      await using client = await node.connect()
      const port = node.port
      const spoken = async (options: ConnectionOptions): Promise<string> => {
        const socket = await shake(port, { ...authority.trusted(), ...options })
        const spoke = `${socket.getProtocol()} ${socket.getCipher().name}`
        socket.destroy()
        return spoke
      }
      const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
      await expect(spoken(old)).rejects.toThrow(REFUSED)
      expect(await spoken({})).toMatch(/^TLSv1\.3 /)
      expect(await spoken({ maxVersion: 'TLSv1.2' })).toMatch(/^TLSv1\.2 /)
      expect(await client.call('CONFIG', 'SET', 'tls-protocols', 'TLSv1.1')).toMatchObject({
        text: expect.stringMatching(/TLSv1\.2 or TLSv1\.3/),
      })
      expect(await client.call('CONFIG', 'SET', 'tls-protocols', 'TLSv1.2', 'tls-ciphers', 'ECDHE-ECDSA-AES256-GCM-SHA384')).toBe('OK')
      expect(await spoken({})).toBe('TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384')
      expect(await client.call('CONFIG', 'SET', 'tls-protocols', '', 'tls-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256')).toBe('OK')
      expect(await spoken({})).toBe('TLSv1.3 TLS_CHACHA20_POLY1305_SHA256')
      expect(await client.call('CONFIG', 'SET', 'tls-ciphers', 'nonsense')).toMatchObject({
        text: expect.stringMatching(/OpenSSL knows no such cipher/),
      })
      expect(await spoken({ maxVersion: 'TLSv1.2' })).toBe('TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384')
      expect(await client.call('PING')).toBe('PONG')
    })

    it('no renegotiation: who asks for one is answered no', async () => {
      await using node = await startNode({ args: openArgs(), tls: authority.trusted() })
      const input = 'R\n'
      const told = await run(['openssl', 's_client', '-connect', `127.0.0.1:${node.port}`, '-tls1_2', '-CAfile', authority.cert], { input })
      expect(told.stdout + told.stderr).toMatch(/RENEGOTIATING[^]*no renegotiation/)
      await using client = await node.connect()
      expect(await client.call('PING')).toBe('PONG')
    })

    it('tls-session-caching: who comes again is known, unless it is off', async () => {
      await using node = await startNode({ args: openArgs(), tls: authority.trusted() })
      await using client = await node.connect()
      const comesAgain = async (maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<boolean> => {
        const first = await shake(node.port, { ...authority.trusted(), maxVersion })
        const session =
          maxVersion === 'TLSv1.2'
            ? first.getSession()
            : await new Promise<Buffer | undefined>((resolve) => {
                first.once('session', resolve)
                first.once('close', () => resolve(undefined))
                first.write(encodeRequest(['QUIT']))
              })
        first.destroy()
        const again = await shake(node.port, { ...authority.trusted(), maxVersion, session })
        const isKnown = again.isSessionReused()
        again.destroy()
        return isKnown
      }
      expect(await comesAgain('TLSv1.2')).toBe(true)
      expect(await comesAgain('TLSv1.3')).toBe(true)
      expect(await client.call('CONFIG', 'SET', 'tls-session-caching', 'no')).toBe('OK')
      expect(await comesAgain('TLSv1.2')).toBe(false)
      expect(await comesAgain('TLSv1.3')).toBe(false)
    })
  })

  describe('certificates change while the node runs', () => {
    it('SIGHUP: new connections get the new one, old ones live on', async () => {
      const mine = { cert: join(tempDir(), 'tls.crt'), key: join(tempDir(), 'tls.key') }
      const put = ({ cert, key }: Signed): void => {
        copyFileSync(cert, mine.cert)
        copyFileSync(key, mine.key)
      }
      put(nodeCert)
      await using node = await startNode({ args: [...certArgs(mine), '--tls-auth-clients', 'no'], tls: authority.trusted() })
      await using old = await node.connect()
      expect(await shown(node.port, authority.trusted())).toBe('node')
      put(authority.sign('renewed'))
      node.signal('SIGHUP')
      await eventually('the new one', async () => (await shown(node.port, authority.trusted())) === 'renewed')
      expect(node.log()).toMatch(/SIGHUP: new clients get the certificate that was read now certificate=CN=renewed/)
      expect(await old.call('PING')).toBe('PONG')

      writeFileSync(mine.cert, 'half a cert')
      node.signal('SIGHUP')
      await eventually('it says why', () =>
        /WARNING SIGHUP: the certificate of before stays in use: tls-cert-file ".*tls\.crt" has no certificate in it/.test(node.log()),
      )
      expect(await shown(node.port, authority.trusted())).toBe('renewed')
    })

    it('CONFIG SET: certificate and key together; what does not fit changes nothing and says why', async () => {
      await using node = await startNode({ args: openArgs(), tls: authority.trusted() })
      await using client = await node.connect()
      const other = authority.sign('other')
      const set = (...words: string[]): Promise<unknown> => client.call('CONFIG', 'SET', ...words)
      expect(await set('tls-cert-file', other.cert)).toMatchObject({
        text: expect.stringMatching(
          /^ERR CONFIG SET failed \(possibly related to argument 'tls-cert-file'\) - Unable to update TLS configuration: the key of .* does not fit/,
        ),
      })
      expect(await client.call('CONFIG', 'GET', 'tls-cert-file')).toEqual(['tls-cert-file', nodeCert.cert])
      expect(await set('tls-cert-file', '/nowhere')).toMatchObject({ text: expect.stringMatching(/"\/nowhere" is not there/) })
      expect(await shown(node.port, authority.trusted())).toBe('node')
      expect(await set('tls-cert-file', other.cert, 'tls-key-file', other.key)).toBe('OK')
      expect(await shown(node.port, authority.trusted())).toBe('other')
      // From now on certificates are asked for.
      expect(await set('tls-auth-clients', 'yes')).toMatchObject({ text: expect.stringMatching(/needs tls-ca-cert-file/) })
      expect(await set('tls-auth-clients', 'yes', 'tls-ca-cert-file', authority.cert)).toBe('OK')
      const stranded = await RawClient.connect(node.port, '127.0.0.1', authority.trusted())
      await expect(stranded.command('PING')).rejects.toThrow(REFUSED)
      await using known = await RawClient.connect(node.port, '127.0.0.1', authority.trusted(clientCert))
      expect(await known.call('PING')).toBe('PONG')
      expect(await client.call('PING')).toBe('PONG')
      for (const name of ['port', 'tls-port', 'bind'])
        expect(await set(name, '1')).toMatchObject({ text: expect.stringContaining("can't set immutable") })
    })
  })

  describe('a start that cannot serve TLS', () => {
    it('is refused with the file and what is wrong with it', { timeout: 120_000 }, async () => {
      const locked = authority.sign('locked', { pass: 'open sesame' })
      const nonsense = join(tempDir(), 'nonsense.pem')
      writeFileSync(nonsense, 'nonsense')
      // What a start looks at, without the process: a dozen of them take long. One is started below.
      const reason = (args: string[], environment = {}): string => {
        try {
          readCredentials(startOptions({ flags: readFlags(args), environment }).values, millis(Date.now()))
        } catch (error) {
          expect(error).toBeInstanceOf(StockdError)
          return (error as StockdError).message
        }
        return 'nothing'
      }
      const pair = (cert: string, key: string): string[] => ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-auth-clients', 'no']
      const { cert, key } = nodeCert
      const said: [string[], RegExp][] = [
        [[], /tls-cert-file is needed/],
        [['--tls-cert-file', cert], /tls-key-file is needed/],
        [pair('/nowhere.crt', key), /tls-cert-file "\/nowhere\.crt" is not there/],
        [pair(tempDir(), key), /tls-cert-file ".*" is a directory/],
        [pair('/dev/zero', key), /tls-cert-file "\/dev\/zero" is no plain file/],
        [pair(nonsense, key), /tls-cert-file ".*nonsense\.pem" has no certificate in it/],
        [pair(cert, '/nowhere.key'), /tls-key-file "\/nowhere\.key" is not there/],
        [pair(cert, cert), /tls-key-file ".*" has no private key in it/],
        [pair(cert, clientCert.key), /the key of tls-key-file ".*shop\.key" does not fit the certificate of tls-cert-file ".*node\.crt"/],
        [pair(locked.cert, locked.key), /tls-key-file ".*locked\.key" is locked and there is no tls-key-file-pass/],
        [certArgs(nodeCert), /tls-auth-clients yes needs tls-ca-cert-file or tls-ca-cert-dir/],
        [[...certArgs(nodeCert), '--tls-ca-cert-file', nonsense], /tls-ca-cert-file ".*" has no certificate in it/],
        [[...certArgs(nodeCert), '--tls-ca-cert-dir', '/nowhere'], /tls-ca-cert-dir "\/nowhere" is not there/],
        [[...pair(cert, key), '--tls-ciphers', 'nonsense'], /OpenSSL knows no such cipher/],
        [[...pair(cert, key), '--tls-protocols', 'TLSv1.1'], /older versions are not offered/],
      ]
      for (const [args, text] of said) {
        expect(reason(args), args.join(' ')).toMatch(text)
        expect(reason(args)).not.toContain('\n')
      }
      const wrong = { STOCKD_TLS_KEY_FILE_PASS: 'wrong' }
      expect(reason(pair(locked.cert, locked.key), wrong)).toMatch(/tls-key-file-pass does not open it/)
      const args = [
        '--port',
        '0',
        '--tls-port',
        String(await freePort()),
        '--dir',
        join(tempDir(), 'aof'),
        ...pair(locked.cert, locked.key),
      ]
      const { code, stderr } = await run([process.execPath, STOCKD, ...args], { env: wrong })
      expect(`${code} ${stderr}`).toMatch(/^1 stockd: [^\n]*tls-key-file-pass does not open it[^\n]*\n$/)
    })

    it('a locked key opens with tls-key-file-pass of a file; as a flag it is warned about', async () => {
      const locked = authority.sign('locked2', { pass: 'open sesame' })
      const passFile = join(tempDir(), 'pass')
      writeFileSync(passFile, 'open sesame\n')
      const args = [...certArgs(locked), '--tls-auth-clients', 'no']
      await using node = await startNode({ args, tls: authority.trusted(), env: { STOCKD_TLS_KEY_FILE_PASS_FILE: passFile } })
      expect(await shown(node.port, authority.trusted())).toBe('locked2')
      await using warned = await startNode({ args: [...args, '--tls-key-file-pass', 'open sesame'], tls: authority.trusted() })
      expect(warned.log()).toMatch(/tls-key-file-pass was given as a flag, where every user of this machine could see it/)
    })

    it('a certificate that has ended, or soon ends, is warned about', async () => {
      const args = [...certArgs(authority.sign('brief', { days: 1 })), '--tls-auth-clients', 'no']
      await using node = await startNode({ args, tls: authority.trusted() })
      expect(node.log()).toMatch(/WARNING the certificate of tls-cert-file ends soon/)
    })
  })

  describe('handshakes that come to nothing', () => {
    it('stalled, plain RESP, HTTP, garbage: closed, counted, said once; nobody else notices', { timeout: 30_000 }, async () => {
      const http = await freePort()
      await using node = await startNode({ args: [...openArgs(), '--http', String(http)], tls: authority.trusted() })
      await using client = await node.connect()
      const closed = (bytes: string): Promise<number> =>
        new Promise((resolve) => {
          const began = performance.now()
          const socket = connectPlainly({ port: node.port, host: '127.0.0.1' })
          socket.on('error', () => {})
          socket.on('data', () => {})
          socket.on('close', () => resolve(performance.now() - began))
          if (bytes !== '') socket.write(bytes)
        })
      const before = Number(await info(client, 'total_commands_processed'))
      const stalled = Promise.all(Array.from({ length: 200 }, (_, i) => closed(i % 2 === 0 ? '' : '\x16\x03\x01\x02\x00\x01')))
      for (const bytes of ['*1\r\n$4\r\nPING\r\n', 'PING\r\n', 'GET / HTTP/1.1\r\n\r\n', '\0'.repeat(100)])
        await within(`the end of ${bytes}`, closed(bytes))
      expect(await client.call('PING')).toBe('PONG')
      for (const ms of await within('the end of the stalled ones', stalled, 15_000)) {
        expect(ms).toBeGreaterThan(4000)
        expect(ms).toBeLessThan(9000)
      }
      expect(Number(await info(client, 'total_commands_processed')) - before).toBe(2)
      const scrape = new Scrape(await (await fetch(`http://127.0.0.1:${http}/metrics`)).text())
      expect(scrape.value('stockd_tls_handshakes_failed_total', { reason: 'timed_out' })).toBe(200)
      expect(scrape.value('stockd_tls_handshakes_failed_total', { reason: 'protocol' })).toBe(4)
      expect(scrape.value('stockd_connections')).toBe(1)
      expect(node.log().match(/a TLS handshake failed/g)).toHaveLength(1)
    })

    it('under way they count as clients: maxclients holds', async () => {
      await using node = await startNode({ args: [...openArgs(), '--maxclients', '10'], tls: authority.trusted() })
      await using client = await node.connect()
      await eventually('only this one', async () => (await info(client, 'connected_clients')) === '1')
      const sockets = await Promise.all(
        Array.from(
          { length: 12 },
          () =>
            new Promise<{ destroyed: boolean; destroy(): void }>((resolve) => {
              const socket = connectPlainly({ port: node.port, host: '127.0.0.1' }, () => resolve(socket))
              socket.on('error', () => {})
              socket.on('data', () => {})
            }),
        ),
      )
      await eventually('three too many', () => sockets.filter(({ destroyed }) => destroyed).length === 3)
      for (const socket of sockets) socket.destroy()
      await eventually('there is room again', async () => {
        await using again = await node.connect()
        return (await again.call('PING')) === 'PONG'
      })
    })

    it('under way they count for the plain port too: no more connections than maxclients, by whichever door', async () => {
      const tlsPort = await freePort()
      await using node = await startNode({ args: [...openArgs(), '--tls-port', String(tlsPort), '--maxclients', '10'] })
      await using client = await node.connect()
      await eventually('only this one', async () => (await info(client, 'connected_clients')) === '1')
      const stalled = Array.from({ length: 9 }, () => connectPlainly({ port: tlsPort, host: '127.0.0.1' }).on('error', () => {}))
      await Promise.all(stalled.map((socket) => once(socket, 'connect')))
      // Counted by the node: whoever is refused may see his connection reset before he has read why.
      await eventually('one more is too many', async () => {
        await using _late = await node.connect()
        return (await info(client, 'rejected_connections')) !== '0'
      })
      for (const socket of stalled) socket.destroy()
    })

    it('a ClientHello on the plain port is closed; both ports serve side by side', async () => {
      const tlsPort = await freePort()
      await using node = await startNode({ args: [...openArgs(), '--tls-port', String(tlsPort)] })
      await expect(shake(node.port, authority.trusted())).rejects.toThrow(REFUSED)
      await using plain = await node.connect()
      await using secure = await RawClient.connect(tlsPort, '127.0.0.1', authority.trusted())
      expect(await plain.call('SET', 'k', 'v')).toBe('OK')
      expect(await secure.call('GET', 'k')).toBe('v')
      expect(await secure.call('NOSUCH')).toBeInstanceOf(ErrorReply)
      expect(String(await plain.call('CLIENT', 'LIST'))).toMatch(new RegExp(`laddr=127\\.0\\.0\\.1:${tlsPort}`))
      const taken = await run([process.execPath, STOCKD, '--port', '0', '--tls-port', String(tlsPort), '--dir', tempDir(), ...openArgs()])
      expect(taken.stderr).toMatch(/is already in use; .* choose another --tls-port/)
    })
  })
})
