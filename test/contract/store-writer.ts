// A process that writes a story into a store and archives it meanwhile, to be killed: store-kill.test.ts. It goes on from the cursors, as
// a consumer does, and says `stored <part> <cursor>` after each commit, at the end `done`.

import { MysqlStore } from '../../src/orders/store/mysql/mysql-store.ts'
import { SqliteStore } from '../../src/orders/store/sqlite/sqlite-store.ts'
import type { Store } from '../../src/orders/store/store.ts'
import { batchOf, OrderStory } from '../support/order-story.ts'

export interface WriterTask {
  readonly kind: 'sqlite' | 'mysql'
  /** A path, or a URL. */
  readonly where: string
  readonly seed: number
  readonly events: number
}

const BATCH = 20

export function openTaskStore({ kind, where }: WriterTask): Store {
  return kind === 'sqlite' ? new SqliteStore({ path: where, mode: 'own', now: Date.now }) : new MysqlStore({ urls: [where], now: Date.now })
}

export const storyOf = ({ seed, events }: WriterTask): OrderStory => new OrderStory({ seed, markEvery: 100 }).tell(events)

async function write(task: WriterTask): Promise<void> {
  const store = openTaskStore(task)
  await store.migrate()
  const story = storyOf(task)
  const middle = story.orders[Math.floor(story.orders.length / 2)].createdAt
  const cursors = new Map((await store.cursors()).map(({ part, pseq }) => [part, pseq]))
  const parts = [...story.byPart()].map(([part, events]) => events.slice(cursors.get(part) ?? 0))
  for (let round = 0; parts.some((events) => events.length > 0); round++) {
    for (const events of parts) {
      const batch = events.splice(0, BATCH)
      if (batch.length === 0) continue
      const { cursor } = await store.apply(batchOf(batch))
      process.stdout.write(`stored ${batch[0].part} ${cursor}\n`)
      await store.archive(middle, 30)
    }
  }
  await store.close()
  process.stdout.write('done\n')
}

if (process.argv[2] !== undefined && process.argv[1].endsWith('store-writer.ts')) await write(JSON.parse(process.argv[2]) as WriterTask)
