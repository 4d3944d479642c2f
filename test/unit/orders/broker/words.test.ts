import { describe, expect, it } from 'vitest'
import { parseAmqpAddresses } from '../../../../src/orders/broker/amqp/address.ts'
import { brokerWords } from '../../../../src/orders/broker/amqp/words.ts'
import { DEFAULT_TOPOLOGY, Topology } from '../../../../src/orders/broker/topology.ts'

describe('the address of a broker', () => {
  it('has defaults', () => {
    expect(parseAmqpAddresses('amqp://localhost')).toEqual([
      {
        protocol: 'amqp',
        hostname: 'localhost',
        port: 5672,
        username: 'guest',
        password: 'guest',
        vhost: '/',
        heartbeat: 10,
        name: 'amqp://localhost:5672',
      },
    ])
  })

  it('says everything else, and is one of several', () => {
    const [first, second] = parseAmqpAddresses('amqps://shop:p%40ss%2Fw@mq1:5999/sale?heartbeat=5, amqp://u:p@[::1]/a%2Fb')
    expect(first).toMatchObject({
      protocol: 'amqps',
      hostname: 'mq1',
      port: 5999,
      username: 'shop',
      password: 'p@ss/w',
      vhost: 'sale',
      heartbeat: 5,
    })
    expect(first.name).toBe('amqps://mq1:5999/sale')
    expect(second).toMatchObject({ hostname: '::1', port: 5672, vhost: 'a/b' })
    expect(second.name).toBe('amqp://[::1]:5672/a%2Fb')
  })

  it.each([
    ['', 'names no broker'],
    ['mq1:5672', 'begins neither with amqp:// nor with amqps://'],
    ['http://mq1', 'begins neither'],
    ['amqp://', 'no host'],
    ['amqp://shop:s3cret/@mq1:x', 'is not a URL'],
    ['amqp://shop:s3cret%zz@mq1', 'a % that is not followed'],
    ['amqp://shop:s3cret@mq1/a/b', 'a vhost with a slash'],
    ['amqp://shop:s3cret@mq1/?heartbeat=soon', 'a heartbeat that is not a number'],
  ])('%s is none, and the message does not repeat it', (text, words) => {
    expect(() => parseAmqpAddresses(text)).toThrow(words)
    expect(() => parseAmqpAddresses(text)).not.toThrow('s3cret')
  })
})

describe('an error of the broker in words', () => {
  const [address] = parseAmqpAddresses('amqp://shop:s3cret@mq1/sale')
  const topology = new Topology(DEFAULT_TOPOLOGY)
  const words = (fields: { message?: string; code?: unknown; errors?: unknown }): string =>
    brokerWords(Object.assign(new Error(fields.message ?? ''), fields), { address, topology, role: 'publisher' })

  it.each([
    [{ code: 'ECONNREFUSED' }, 'nobody listens at amqp://mq1:5672/sale'],
    [{ code: 'ENOTFOUND' }, 'the name mq1 of amqp://mq1:5672/sale has no address'],
    [{ errors: [{ code: 'ECONNREFUSED' }, { code: 'ETIMEDOUT' }] }, 'nobody listens'],
    [{ code: 'EHOSTUNREACH' }, 'firewall'],
    [{ message: 'connect ETIMEDOUT' }, 'does not answer'],
    [{ code: 'ERR_SSL_WRONG_VERSION_NUMBER' }, 'does not speak TLS on this port'],
    [{ code: 'SELF_SIGNED_CERT_IN_CHAIN' }, 'CA option'],
    [{ code: 'CERT_HAS_EXPIRED' }, 'has expired'],
    [{ code: 'ERR_TLS_CERT_ALTNAME_INVALID' }, 'is for another name'],
    [{ code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' }, 'client certificate'],
    [{ message: 'Socket closed abruptly during opening handshake' }, 'closed the connection'],
    [{ message: 'Heartbeat timeout' }, 'silent'],
    [{ code: 320, message: 'Connection closed: 320 (CONNECTION-FORCED)' }, 'is stopped or restarted'],
    [
      { message: 'Handshake terminated by server: 403 (ACCESS-REFUSED) with message "ACCESS_REFUSED - Login was refused' },
      'wrong name or password',
    ],
    [{ message: 'Expected ConnectionOpenOk; got <ConnectionClose channel:0>' }, "rabbitmqctl set_permissions -p sale shop '^stock\\."],
    [
      { code: 403, message: `403 "ACCESS_REFUSED - access to queue 'stock.orders.00' in vhost 'sale' refused for user 'shop'"` },
      'may not use queue stock.orders.00',
    ],
    [{ code: 404, message: `404 "NOT_FOUND - no queue 'stock.orders.03' in vhost 'sale'"` }, 'there is no queue stock.orders.03'],
    [
      {
        code: 406,
        message: `Operation failed: QueueDeclare; 406 (PRECONDITION-FAILED) with message "PRECONDITION_FAILED - inequivalent arg 'x-max-length-bytes' for queue 'stock.orders.00' in vhost 'sale': received '5' but current is '2147483648'"`,
      },
      "queue stock.orders.00 exists with other arguments: x-max-length-bytes is '2147483648', and not '5'; rabbitmqctl delete_queue -p sale stock.orders.00",
    ],
    [{ code: 999, message: 'something new from amqp://shop:s3cret@mq1' }, 'something new from amqp://...@mq1'],
  ])('%o', (fields, expected) => {
    expect(words(fields)).toContain(expected)
    expect(words(fields)).not.toContain('s3cret')
  })
})
