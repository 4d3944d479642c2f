// What only RabbitMQ does: queues that are full or missing or different, users who may not, alarms, several addresses, lost data.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'amqplib'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { AmqpBroker, AmqpBrokerOptions } from '../../src/orders/broker/amqp-broker.ts'
import { DEFAULT_TOPOLOGY, Topology } from '../../src/orders/broker/topology.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/port.ts'
import { HAS_RABBITMQ, startRabbitMq } from '../support/rabbitmq.ts'
import type { RabbitMq } from '../support/rabbitmq.ts'
import { hasProgram } from '../support/server.ts'
import { tempDir } from '../support/temp-dir.ts'
import { amqpBroker, ConsumerEar, message, PublisherEar, testEnv } from './broker-bench.ts'

const STREAM = 'n1_00c0ffee-1'
const LONG = 40_000

let rabbit: RabbitMq
const brokers: AmqpBroker[] = []
let prefix = ''
let names = 0

describe.skipIf(!HAS_RABBITMQ)('RabbitMQ', () => {
  beforeAll(async () => {
    rabbit = await startRabbitMq()
  }, 120_000)

  beforeEach(() => {
    prefix = `r${++names}`
    return async () => {
      await Promise.all(brokers.splice(0).map((broker) => broker.close()))
    }
  })

  afterAll(async () => {
    await Promise.all(brokers.splice(0).map((broker) => broker.close()))
  })

  function broker(options: Partial<AmqpBrokerOptions> = {}, urls = rabbit.url): AmqpBroker {
    const made = amqpBroker(urls, { topology: { ...DEFAULT_TOPOLOGY, prefix }, ...options })
    brokers.push(made)
    return made
  }

  async function publisher(options: Partial<AmqpBrokerOptions> = {}, urls = rabbit.url): Promise<PublisherEar> {
    const ear = new PublisherEar().listen(broker(options, urls), STREAM)
    await eventually(`connected (${ear.lost.at(-1)})`, () => ear.ready === 1, LONG)
    return ear
  }

  async function consumer(options: Partial<AmqpBrokerOptions> = {}, urls = rabbit.url): Promise<ConsumerEar> {
    const ear = new ConsumerEar().listen(broker(options, urls))
    await eventually(`connected (${ear.lost.at(-1)})`, () => ear.ready === 1, LONG)
    return ear
  }

  /** As an operator does it, with the rights of guest. */
  async function operate(
    work: (channel: Awaited<ReturnType<Awaited<ReturnType<typeof connect>>['createChannel']>>) => Promise<unknown>,
  ): Promise<void> {
    const connection = await connect(rabbit.url)
    await work(await connection.createChannel())
    await connection.close()
  }

  it.each([{ isByLibrary: false }, { isByLibrary: true }])('carries bodies of every size and any bytes ($isByLibrary)', async (options) => {
    const ear = await publisher(options)
    const reader = await consumer()
    await reader.open.subscribe(11)
    const sizes = [0, 1, 400, 4_087, 4_088, 65_000, 131_063, 131_064, 131_065, 262_128, 700_000]
    const sent = sizes.map((size, nth) =>
      message(11, nth + 2 ** 40, { oldest: 2 ** 33, type: 'stock.soldout', body: Buffer.alloc(size, `\u00e9\u{1f4e6}\0${nth}`) }),
    )
    for (const one of sent) ear.open.publish(one)
    await eventually('acks', () => ear.acked.size === sent.length, LONG)
    await eventually('deliveries', () => reader.deliveries.length === sent.length, LONG)
    expect(reader.deliveries.map((delivery) => delivery.message)).toEqual(sent)
    expect(reader.deliveries[2].raw.properties).toMatchObject({
      deliveryMode: 2,
      contentType: 'application/json',
      type: 'stock.soldout',
      messageId: `${STREAM}/11/${2 ** 40 + 2}`,
      timestamp: 1_700_000_000,
      headers: { stream: STREAM, part: 11, schema: 1, timestamp_in_ms: 1_700_000_000_123 },
    })
    // The broker has taken the second routing key off.
    expect(reader.deliveries[2].raw.properties).not.toHaveProperty('headers.BCC')
  })

  it('gives every event to other services too, by its type', async () => {
    const ear = await publisher()
    await operate(async (channel) => {
      await channel.assertQueue(`${prefix}.mails`)
      await channel.bindQueue(`${prefix}.mails`, `${prefix}.events`, 'order.*')
    })
    ear.open.publish(message(0, 1))
    ear.open.publish(message(0, 2, { type: 'stock.soldout' }))
    await eventually('acks', () => ear.acked.size === 2)
    const depths = await brokers[0].depths()
    expect(depths[0]).toBe(2)
    await operate(async (channel) => {
      const first = await channel.get(`${prefix}.mails`, { noAck: true })
      expect(first === false ? null : first.fields.routingKey).toBe('order.reserved')
      expect(await channel.get(`${prefix}.mails`, { noAck: true })).toBe(false)
    })
  })

  it('pauses when the socket is full, and goes on', async () => {
    const ear = await publisher()
    const big = Buffer.alloc(1 << 20)
    let sent = 0
    while (ear.open.isWritable) {
      ear.open.publish(message(0, ++sent, { body: big }))
      if (sent % 8 === 0) await new Promise(setImmediate)
    }
    await eventually('drained', () => ear.drained > 0, LONG)
    await eventually('acks', () => ear.acked.size === sent, LONG)
  })

  it('says so when no queue takes an event, makes the queue again, and goes on', async () => {
    const ear = await publisher()
    await operate((channel) => channel.deleteQueue(`${prefix}.orders.04`))
    ear.open.publish(message(4, 1))
    await eventually('unroutable', () => ear.unroutable.length > 0)
    expect(ear.unroutable[0]).toEqual({ stream: STREAM, part: 4, pseq: 1 })
    await eventually('a new channel', () => ear.ready === 2 && ear.channel !== null, LONG)
    expect(ear.lost.join()).toContain('no queue takes order.reserved of part 4')
    ear.open.publish(message(4, 1))
    await eventually('ack', () => ear.acked.has(1))
    expect((await brokers[0].depths())[4]).toBe(1)
  })

  it("notices a part's queue that is gone although another service takes the events", async () => {
    const said: string[] = []
    const ear = await publisher({ env: testEnv(said, 60) })
    await operate(async (channel) => {
      await channel.assertQueue(`${prefix}.all`)
      await channel.bindQueue(`${prefix}.all`, `${prefix}.events`, '#')
      await channel.deleteQueue(`${prefix}.orders.06`)
    })
    ear.open.publish(message(6, 1))
    await eventually('made again', () => ear.ready === 2 && ear.channel !== null, LONG)
    expect(ear.unroutable).toEqual([])
    expect(ear.lost.join()).toContain(`${prefix}.orders.06 was missing, and is made again`)
  })

  it("refuses when a part's queue is full, and takes events again when it is not", async () => {
    const ear = await publisher({ topology: { ...DEFAULT_TOPOLOGY, prefix, queueBytesMax: 5_000 } })
    let sent = 0
    await eventually('refused', () => {
      for (let nth = 0; nth < 10; nth++) ear.open.publish(message(8, ++sent, { body: Buffer.alloc(1_000) }))
      return ear.refused.size > 0
    })
    ear.open.publish(message(9, 1))
    const other = sent + 1
    await eventually('another part is not concerned', () => ear.acked.has(other))
    await operate((channel) => channel.purgeQueue(`${prefix}.orders.08`))
    await eventually('taken again', async () => {
      const tag = ear.open.publish(message(8, ++sent, { body: Buffer.alloc(10) }))
      await eventually('answered', () => ear.acked.has(tag) || ear.refused.has(tag))
      return ear.acked.has(tag)
    })
  })

  it('takes nothing while it is low on memory, and says when it does again', async () => {
    const ear = await publisher()
    try {
      await rabbit.ctl('set_vm_memory_high_watermark', 'absolute', '1MB')
      await eventually(
        'blocked',
        () => {
          if (ear.open.isWritable) ear.open.publish(message(1, 1))
          return !ear.open.isWritable
        },
        LONG,
      )
    } finally {
      await rabbit.ctl('set_vm_memory_high_watermark', 'absolute', '512MB')
    }
    await eventually('goes on', () => ear.open.isWritable && ear.drained > 0, LONG)
  })

  it('brings a queue back whose consumer was told that it is gone', async () => {
    const reader = await consumer()
    await reader.open.subscribe(2)
    await operate((channel) => channel.deleteQueue(`${prefix}.orders.02`))
    await eventually('told', () => reader.cancelled.length === 1)
    await reader.open.subscribe(2)
    const ear = await publisher()
    ear.open.publish(message(2, 1))
    await eventually('delivered', () => reader.deliveries.length === 1)
  })

  it('hands over what is no event as unreadable, and keeps a dead letter for people', async () => {
    const reader = await consumer()
    await reader.open.subscribe(2)
    await operate(async (channel) => {
      const put = (headers: Record<string, unknown>, messageId = 'x'): boolean =>
        channel.publish('', `${prefix}.orders.02`, Buffer.from('{}'), { headers, messageId, type: 'order.reserved' })
      put({})
      put({ stream: STREAM, part: 2, pseq: -1, oldest: 1 })
      put({ stream: STREAM, part: 2, pseq: 1.5, oldest: 1 }, `${STREAM}/2/1.5`)
      put({ stream: STREAM, part: 3, pseq: 1, oldest: 1 }, `${STREAM}/3/1`) // of another part
      put({ stream: STREAM, part: 2, pseq: 1, oldest: 1 }, `${STREAM}/2/2`) // contradicts itself
      put({ stream: { '!': 'timestamp', 'value': 1 }, part: [1], pseq: null, oldest: true })
      await channel.checkQueue(`${prefix}.orders.02`)
    })
    await eventually('six', () => reader.deliveries.length === 6)
    expect(reader.deliveries.map((delivery) => delivery.message)).toEqual([null, null, null, null, null, null])
    await reader.open.deadLetter({ payload: reader.deliveries[0].raw.content, headers: { reason: 'envelope', part: 2 } })
    reader.open.ack(2, reader.deliveries[5].tag)
    await operate(async (channel) => {
      const letter = await channel.get(`${prefix}.dlq`, { noAck: true })
      if (letter === false) throw new Error('no dead letter')
      expect(letter.content.toString()).toBe('{}')
      expect(letter.properties.headers).toMatchObject({ reason: 'envelope', part: 2 })
    })
  })

  it('has a limit of what a consumer gets unacked', async () => {
    const ear = await publisher()
    for (let pseq = 1; pseq <= 30; pseq++) ear.open.publish(message(1, pseq))
    await eventually('acks', () => ear.acked.size === 30)
    const reader = await consumer({ prefetch: 10 })
    await reader.open.subscribe(1)
    await eventually('ten', () => reader.deliveries.length === 10)
    expect(await reader.open.depths()).toHaveLength(16)
    expect(reader.deliveries).toHaveLength(10)
    reader.open.ack(1, reader.deliveries[9].tag)
    await eventually('ten more', () => reader.deliveries.length === 20)
  })

  describe('a user', () => {
    const user = (name: string, vhost = '/'): string => rabbit.urlFor(name, 'p@ss/w:rd', vhost)
    const lostOf = async (ear: PublisherEar | ConsumerEar): Promise<string> => eventually('a reason', () => ear.lost.at(-1), LONG)

    it('with a wrong password, or of an unknown vhost, is told so, without the password', async () => {
      await rabbit.ctl('add_user', 'eve', 'p@ss/w:rd')
      const wrong = await lostOf(new PublisherEar().listen(broker({}, rabbit.urlFor('eve', 's3cret')), STREAM))
      expect(wrong).toContain('refuses user "eve": wrong name or password')
      const nowhere = await lostOf(new ConsumerEar().listen(broker({}, rabbit.urlFor('guest', 'guest', 'no where'))))
      expect(nowhere).toContain('there is no vhost "no where", or user "guest" may not enter it')
      const outside = await lostOf(new ConsumerEar().listen(broker({}, user('eve'))))
      expect(outside).toContain(`rabbitmqctl set_permissions -p / eve '^${prefix}\\.' '^${prefix}\\.' '^${prefix}\\.'`)
      expect([wrong, nowhere, outside].join()).not.toMatch(/s3cret|p@ss|p%40ss/)
      expect(brokers.map((one) => one.name).join()).not.toMatch(/s3cret|p@ss|p%40ss|guest/)
    })

    it('gets along with the permissions of the remedy', async () => {
      await rabbit.ctl('add_user', 'all', 'p@ss/w:rd')
      const { configure, write, read } = new Topology({ ...DEFAULT_TOPOLOGY, prefix }).permissions('publisher', true)
      await rabbit.ctl('set_permissions', '-p', '/', 'all', configure, write, read)
      const ear = await publisher({}, user('all'))
      const reader = await consumer({}, user('all'))
      await reader.open.subscribe(0)
      ear.open.publish(message(0, 1))
      reader.open.feedback({ kind: 'seek', stream: STREAM, part: 1, pseq: 2 })
      await reader.open.deadLetter({ payload: Buffer.from('x'), headers: {} })
      await eventually('there', () => reader.deliveries.length === 1 && ear.feedback.length === 1)
    })

    it('who may not declare publishes and consumes with the least permissions, once everything is there', async () => {
      const topology = new Topology({ ...DEFAULT_TOPOLOGY, prefix })
      for (const role of ['publisher', 'consumer'] as const) {
        const { configure, write, read } = topology.permissions(role, false)
        await rabbit.ctl('add_user', role, 'p@ss/w:rd')
        await rabbit.ctl('set_permissions', '-p', '/', role, configure, write, read)
      }
      const early = await lostOf(new PublisherEar().listen(broker({}, user('publisher')), STREAM))
      expect(early).toMatch(/user "publisher" may not use (exchange|queue) r\d+\.dlx; what it needs: rabbitmqctl set_permissions/)
      await publisher() // as guest, who makes everything
      const ear = await publisher({}, user('publisher'))
      const reader = await consumer({}, user('consumer'))
      await reader.open.subscribe(3)
      ear.open.publish(message(3, 1))
      reader.open.feedback({ kind: 'seek', stream: STREAM, part: 1, pseq: 2 })
      await reader.open.deadLetter({ payload: Buffer.from('x'), headers: {} })
      await eventually('there', () => reader.deliveries.length === 1 && ear.feedback.length === 1)
      expect((await broker({}, user('consumer')).depths())[3]).toBe(0)
      const findings = await broker({}, user('publisher')).examine()
      expect(findings.filter(({ level }) => level === 'error')).toEqual([])
      expect(findings.map(({ says }) => says).join()).toContain('may publish to it')
    })
  })

  it('whose queue has other arguments: says which, and what to do', async () => {
    await operate(async (channel) => {
      await channel.assertExchange(`${prefix}.dlx`, 'fanout')
      await channel.assertQueue(`${prefix}.orders.00`, { durable: true })
    })
    const ear = new PublisherEar().listen(broker(), STREAM)
    const reason = await eventually('a reason', () => ear.lost.at(-1), LONG)
    expect(reason).toContain(`queue ${prefix}.orders.00 exists with other arguments: x-`)
    expect(reason).toContain(`rabbitmqctl delete_queue -p / ${prefix}.orders.00`)
    const findings = await brokers[0].examine()
    expect(findings.find(({ level }) => level === 'error')?.says).toBe(reason)
    await operate((channel) => channel.deleteQueue(`${prefix}.orders.00`))
    await eventually('goes on by itself', () => ear.ready === 1, LONG)
  })

  it('is looked for at all addresses in turn', async () => {
    const nobody = await freePort()
    const ear = await publisher({}, `amqp://127.0.0.1:${nobody}, ${rabbit.url}`)
    expect(ear.lost).toEqual([expect.stringContaining(`nobody listens at amqp://127.0.0.1:${nobody}`)])
    const findings = await brokers[0].examine()
    expect(findings.filter(({ level }) => level === 'error')).toHaveLength(1)
    expect(findings.some(({ says }) => /RabbitMQ \d/.test(says))).toBe(true)
  })

  it('that hears TLS on its plain port is a mistake in the address', async () => {
    const ear = new PublisherEar().listen(broker({}, rabbit.url.replace('amqp:', 'amqps:')), STREAM)
    expect(await eventually('a reason', () => ear.lost.at(-1), LONG)).toContain('does not speak TLS on this port')
  })

  it('that is frozen is given up after its heartbeats, and found again', async () => {
    const ear = await publisher({}, `${rabbit.url}?heartbeat=1`)
    rabbit.freeze()
    try {
      await eventually('given up', () => ear.channel === null, LONG)
      expect(ear.lost[0]).toContain('silent')
    } finally {
      rabbit.thaw()
    }
    await eventually('found again', () => ear.channel !== null, LONG)
    ear.open.publish(message(1, 1))
    await eventually('ack', () => ear.acked.has(1))
  })

  it('that lost its data gets everything made again', async () => {
    const ear = await publisher()
    const reader = await consumer()
    ear.open.publish(message(1, 1))
    await eventually('ack', () => ear.acked.has(1))
    await rabbit.kill9()
    rabbit.wipe()
    await rabbit.start()
    await eventually('again', () => ear.channel !== null && reader.channel !== null, LONG)
    expect(await brokers[0].depths()).toEqual(Array.from({ length: 16 }, () => 0))
    await reader.open.subscribe(1)
    ear.open.publish(message(1, 1))
    await eventually('delivered', () => reader.deliveries.length === 1, LONG)
  })

  it('is left at once, also when it answers nothing', async () => {
    const made = broker()
    const ear = new PublisherEar().listen(made, STREAM)
    await eventually('connected', () => ear.ready === 1, LONG)
    const midSetUp = broker({ topology: { ...DEFAULT_TOPOLOGY, prefix: `${prefix}x` } })
    const connected = await connect(rabbit.url)
    new PublisherEar().listen(midSetUp, STREAM)
    // Its queues are being made.
    await eventually('begun', async () => {
      const probe = await connected.createChannel()
      probe.on('error', () => {})
      await probe.checkExchange(`${prefix}x.dlx`)
      return true
    })
    rabbit.freeze()
    try {
      const midGreeting = broker()
      new ConsumerEar().listen(midGreeting)
      const since = performance.now()
      await Promise.all([made.close(), midSetUp.close(), midGreeting.close()])
      expect(performance.now() - since).toBeLessThan(5_000)
    } finally {
      rabbit.thaw()
    }
    await connected.close()
  })

  it.skipIf(!hasProgram('openssl'))('talks TLS with certificates on both sides, and says what is wrong with them', async () => {
    const keys = makeKeys()
    const port = await freePort()
    await using secure = await startRabbitMq({
      conf: [
        `listeners.ssl.1 = 127.0.0.1:${port}`,
        `ssl_options.cacertfile = ${keys.path('ca.pem')}`,
        `ssl_options.certfile = ${keys.path('server.pem')}`,
        `ssl_options.keyfile = ${keys.path('server.key')}`,
        'ssl_options.verify = verify_peer',
        'ssl_options.fail_if_no_peer_cert = true',
      ],
    })
    expect(secure.isRunning).toBe(true)
    const url = `amqps://guest:guest@localhost:${port}`
    const [ca, cert, key] = ['ca.pem', 'client.pem', 'client.key'].map((name) => readFileSync(keys.path(name)))
    const ear = await publisher({ tls: { ca, cert, key } }, url)
    ear.open.publish(message(1, 1))
    await eventually('ack', () => ear.acked.has(1))
    const reasonOf = async (tls: AmqpBrokerOptions['tls'], at = url): Promise<string> => {
      const wrong = new PublisherEar().listen(broker({ tls }, at), STREAM)
      return eventually('a reason', () => wrong.lost.at(-1), LONG)
    }
    expect(await reasonOf(null)).toContain("give its authority's certificate as the CA option")
    expect(await reasonOf({ ca, cert: null, key: null })).toContain('does the broker want a client certificate')
    expect(await reasonOf({ ca, cert, key }, url.replace('localhost', '127.0.0.1'))).toContain('is for another name')
    expect(await reasonOf({ ca, cert, key: Buffer.from('no key') })).toContain('the certificate or key for amqps://localhost')
    expect(await reasonOf(null, url.replace('amqps', 'amqp'))).toContain('TLS ports want amqps://')
  })
})

/** An authority, a server called localhost, and a client. */
function makeKeys(): { path(name: string): string } {
  const dir = tempDir()
  const path = (name: string): string => join(dir, name)
  const openssl = (...args: readonly string[]): unknown => execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  openssl('req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=test authority', '-keyout', 'ca.key', '-out', 'ca.pem')
  writeFileSync(path('server.ext'), 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n')
  writeFileSync(path('client.ext'), 'extendedKeyUsage=clientAuth\n')
  for (const [nth, name] of ['server', 'client'].entries()) {
    openssl('req', ...newKey, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`)
    const serial = ['-set_serial', String(nth + 2)]
    const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', ...serial, '-days', '2', '-extfile', `${name}.ext`]
    openssl('x509', '-req', '-in', `${name}.csr`, ...signed, '-out', `${name}.pem`)
  }
  return { path }
}
