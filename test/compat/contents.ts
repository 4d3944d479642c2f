// All that a server has in its databases, asked for by commands, so that two servers can be compared whatever they keep it in.

import type { RawClient } from '../support/raw-client.ts'
import { pairs } from './differences.ts'

/** How much an instant that came from a duration may differ between the two. */
const CLOCKS_MS = 5000

/** Per database and key: the value, and when it expires. */
export type Contents = Map<string, { value: string; at: number | bigint }>

/** Whoever can be asked. */
type Asked = Pick<RawClient, 'command' | 'call'>

export async function contentsOf(client: Asked): Promise<Contents> {
  const all: Contents = new Map()
  for (let database = 0; database < 16; database++) {
    await client.command('SELECT', database)
    const keys = ((await client.call('KEYS', '*')) as string[]).toSorted()
    for (const key of keys) {
      const name = Buffer.from(key, 'latin1')
      all.set(`${database} ${key}`, {
        value: await valueOf(client, name),
        at: (await client.call('PEXPIRETIME', name)) as number | bigint,
      })
    }
  }
  return all
}

/** The type and all that the key has in it, whatever the order of a hash table. */
async function valueOf(client: Asked, name: Buffer): Promise<string> {
  const type = (await client.call('TYPE', name)) as string
  switch (type) {
    case 'hash':
      return `hash ${JSON.stringify(
        pairs((await client.call('HGETALL', name)) as unknown[])
          .map(String)
          .toSorted(),
      )}`
    case 'set':
      return `set ${JSON.stringify(((await client.call('SMEMBERS', name)) as string[]).toSorted())}`
    case 'list':
      return `list ${JSON.stringify(await client.call('LRANGE', name, 0, -1))}`
    case 'zset':
      return `zset ${JSON.stringify(await client.call('ZRANGE', name, 0, -1, 'WITHSCORES'))}`
    default:
      return `${type} ${JSON.stringify(await client.call('GET', name))}`
  }
}

/** Where the two differ; '' if they do not. */
export function contentsApart(got: Contents, expected: Contents): string {
  const [ours, theirs] = [[...got.keys()], [...expected.keys()]].map((names) => JSON.stringify(names))
  if (ours !== theirs) return `keys ${ours}, not ${theirs}`
  for (const [name, { value, at }] of expected) {
    const found = got.get(name)!
    if (found.value !== value) return `${JSON.stringify(name)} is ${found.value}, not ${value}`
    const apart = BigInt(found.at) - BigInt(at)
    if (apart <= -CLOCKS_MS || apart >= CLOCKS_MS) return `${JSON.stringify(name)} expires at ${found.at}, not ${at}`
  }
  return ''
}
