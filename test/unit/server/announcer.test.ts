import { describe, expect, it } from 'vitest'
import { NodeStage } from './node-stage.ts'
import type { NodeClient } from './node-stage.ts'

/** The messages in a client's bytes: `channel message`. */
function messages(client: NodeClient): string[] {
  const words = client
    .read()
    .split('\r\n')
    .filter((line) => line !== '' && !/^[*$>:]/.test(line))
  const found: string[] = []
  for (let i = 0; i < words.length; i += words[i] === 'pmessage' ? 4 : 3) {
    found.push(words[i] === 'pmessage' ? `${words[i + 2]} ${words[i + 3]}` : `${words[i + 1]} ${words[i + 2]}`)
  }
  return found
}

/** `STOCK.INFO`'s version. */
function version(client: NodeClient, sku: string): string {
  const lines = client.ask(`STOCK.INFO ${sku}`).split('\r\n')
  return lines[lines.indexOf('version') + 1].slice(1)
}

describe('keyspace notifications', () => {
  it('are messages about a key and about an event, in this order, in the database of the key', () => {
    const stage = new NodeStage({ 'notify-keyspace-events': 0 })
    const shop = stage.connect()
    const ear = stage.connect()
    ear.ask('PSUBSCRIBE __key*')
    shop.ask('SET a 1')
    expect(messages(ear)).toEqual([])
    expect(shop.ask('CONFIG SET notify-keyspace-events KEA')).toBe('+OK\r\n')
    expect(shop.ask('CONFIG GET notify-keyspace-events')).toContain('\r\nAKE\r\n')
    shop.ask('SET a 1')
    shop.ask('SELECT 3')
    shop.ask('LPUSH l x')
    expect(messages(ear)).toEqual(['__keyspace@0__:a set', '__keyevent@0__:set a', '__keyspace@3__:l lpush', '__keyevent@3__:lpush l'])
    shop.ask('CONFIG SET notify-keyspace-events E$')
    shop.ask('SET b 1')
    expect(messages(ear)).toEqual(['__keyevent@3__:set b'])
    shop.ask('CONFIG SET notify-keyspace-events A')
    shop.ask('SET c 1')
    expect(messages(ear)).toEqual([])
  })

  it('stand in front of the reply to whoever listens himself', () => {
    const stage = new NodeStage()
    const client = stage.connect()
    client.ask('CONFIG SET notify-keyspace-events E$')
    client.ask('HELLO 3')
    client.ask('SUBSCRIBE __keyevent@0__:set')
    expect(client.ask('SET a 1')).toBe('>3\r\n$7\r\nmessage\r\n$18\r\n__keyevent@0__:set\r\n$1\r\na\r\n+OK\r\n')
  })

  it('leave a letter that is none to be refused', () => {
    const client = new NodeStage().connect()
    expect(client.ask('CONFIG SET notify-keyspace-events Kq')).toBe(
      "-ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - " +
        "Invalid event class character. Use 'Ag$lshzxeKEtmdnib'.\r\n",
    )
  })

  it('come of a key that expires though nobody asks', () => {
    const stage = new NodeStage()
    const shop = stage.connect()
    const ear = stage.connect()
    shop.ask('CONFIG SET notify-keyspace-events KEx')
    ear.ask('PSUBSCRIBE __key*')
    shop.ask('SET a 1 PX 10')
    ear.read()
    stage.pass(11)
    stage.node.turn.beat()
    stage.pass(0)
    expect(messages(ear)).toEqual(['__keyspace@0__:a expired', '__keyevent@0__:expired a'])
  })
})

describe('the stock channels', () => {
  const open = (): { stage: NodeStage; shop: NodeClient; ear: NodeClient } => {
    const stage = new NodeStage()
    const shop = stage.connect()
    const ear = stage.connect()
    ear.ask('SUBSCRIBE __stock__:soldout __stock__:available')
    return { stage, shop, ear }
  }

  it('tell that a SKU is sold out, and that it is available again, without any option', () => {
    const { shop, ear } = open()
    shop.ask('STOCK.CREATE book 1')
    expect(messages(ear)).toEqual([])
    shop.ask('STOCK.RESERVE {ann}1 ITEMS book 1')
    expect(messages(ear)).toEqual([`__stock__:soldout book ${version(shop, 'book')}`])
    shop.ask('STOCK.RELEASE {ann}1')
    expect(messages(ear)).toEqual([`__stock__:available book ${version(shop, 'book')}`])
    shop.ask('STOCK.RESERVE {ann}2 PAID ITEMS book 1')
    shop.ask('STOCK.RETURN {ann}2')
    shop.ask('STOCK.ALTER book SAFETY 1')
    shop.ask('STOCK.ADJUST book 1 ID delivery')
    const events = messages(ear).map((message) => message.split(' ')[0].replace('__stock__:', ''))
    expect(events).toEqual(['soldout', 'available', 'soldout', 'available'])
  })

  it('tell of a hold that expires though nobody asks', () => {
    const { stage, shop, ear } = open()
    shop.ask('STOCK.CREATE book 1')
    shop.ask('STOCK.RESERVE {ann}1 EX 60 ITEMS book 1')
    ear.read()
    stage.pass(60_000)
    stage.node.turn.beat()
    stage.pass(0)
    expect(messages(ear)).toEqual([`__stock__:available book ${version(shop, 'book')}`])
  })

  it('carry names of any bytes: the version stands behind the last blank', () => {
    const { shop, ear } = open()
    const ask = (...words: string[]): string =>
      shop.raw(`*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`)
    ask('STOCK.CREATE', 'a b 7', '1')
    ask('STOCK.RESERVE', '{ann}1', 'ITEMS', 'a b 7', '1')
    expect(ear.read()).toMatch(/\r\na b 7 \d+\r\n$/)
  })
})
