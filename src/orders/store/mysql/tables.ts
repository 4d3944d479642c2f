// The tables of one database, by version. The same as the embedded store's, those of orders T times over.
//
// Names are VARBINARY: exact bytes, as the node has them, compared as bytes. Instants are unix ms, money is minor units. The rules (CHECK)
// are those that no order breaks: a row that breaks one is a dead event, not a wrong number. They have no names, which MySQL wants unique in a
// database.
//
// One order_events for a whole database, not T: a batch appends to its end in one statement, in the order of the primary key, and
// cursor = number of events is one count.

import type { Database, LayoutSize } from './layout.ts'

const ASCII = 'CHARACTER SET ascii COLLATE ascii_bin'
const OPTIONS = 'ENGINE=InnoDB DEFAULT CHARSET=utf8mb4'
const STREAM = 'stream VARBINARY(64) NOT NULL'

const orders = (indexes: string): string => `(
  id VARBINARY(128) NOT NULL PRIMARY KEY,
  number BIGINT UNSIGNED NULL COMMENT 'of an id that the node made: its time in ms << 15, and the number within it',
  shard SMALLINT UNSIGNED NOT NULL COMMENT 'CRC32(buyer) & 1023; the id without a buyer',
  buyer VARBINARY(128) NULL,
  state VARCHAR(16) ${ASCII} NOT NULL,
  version INT UNSIGNED NOT NULL,
  first_version INT UNSIGNED NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  deadline BIGINT NOT NULL,
  ref VARBINARY(256) NULL,
  reason VARBINARY(256) NULL,
  ${indexes}
) ${OPTIONS}`

/** For lists of everybody's orders. */
export const NEWEST_INDEX = 'newest'
const NEWEST = `KEY ${NEWEST_INDEX} (created_at, id)`

const ITEMS = `(
  order_id VARBINARY(128) NOT NULL,
  sku VARBINARY(256) NOT NULL,
  quantity BIGINT NOT NULL,
  reserved BIGINT NOT NULL,
  sold BIGINT NOT NULL,
  released BIGINT NOT NULL,
  returned BIGINT NOT NULL,
  price BIGINT NULL COMMENT 'minor units',
  seller VARBINARY(256) NULL,
  PRIMARY KEY (order_id, sku),
  CHECK (quantity = reserved + sold + released + returned)
) ${OPTIONS}`

const SELLERS = `(
  seller VARBINARY(256) NOT NULL,
  created_at BIGINT NOT NULL,
  order_id VARBINARY(128) NOT NULL,
  shard SMALLINT UNSIGNED NOT NULL COMMENT 'where the order is',
  PRIMARY KEY (seller, created_at, order_id)
) ${OPTIONS}`

const BALANCES = 'total BIGINT NOT NULL, available BIGINT NOT NULL, reserved BIGINT NOT NULL, sold BIGINT NOT NULL'
const NOTE = 'note BLOB NOT NULL, noted_at BIGINT NOT NULL'

/** The first table: what the others were made for. */
export const layoutTable = (database: Database): string => `CREATE TABLE IF NOT EXISTS ${database.single('stockd_layout')} (
  one TINYINT NOT NULL PRIMARY KEY,
  database_count SMALLINT NOT NULL,
  table_count SMALLINT NOT NULL,
  database_index SMALLINT NOT NULL,
  has_history TINYINT NOT NULL DEFAULT 0,
  probed_at BIGINT NOT NULL DEFAULT 0
) ${OPTIONS}`

export function firstTables(database: Database, { tables }: LayoutSize): string[] {
  const made: string[] = []
  const add = (name: string, body: string): number => made.push(`CREATE TABLE IF NOT EXISTS ${name} ${body}`)
  for (let table = 0; table < tables; table++) {
    add(database.sharded('orders', table), orders(`KEY buyer (buyer, created_at, id), KEY updated (updated_at, state), ${NEWEST}`))
    add(database.sharded('order_items', table), ITEMS)
    add(database.sharded('seller_orders', table), SELLERS)
    add(database.sharded('orders_history', table), orders(`KEY buyer (buyer, created_at, id), ${NEWEST}`))
    add(database.sharded('order_items_history', table), ITEMS)
  }
  add(
    database.single('order_events'),
    `(
  ${STREAM},
  part TINYINT UNSIGNED NOT NULL,
  pseq BIGINT UNSIGNED NOT NULL,
  event_id VARBINARY(96) NOT NULL,
  type VARCHAR(32) ${ASCII} NOT NULL,
  time BIGINT NOT NULL,
  order_id VARBINARY(128) NULL,
  version INT UNSIGNED NOT NULL,
  payload MEDIUMBLOB NOT NULL COMMENT 'JSON',
  PRIMARY KEY (stream, part, pseq),
  KEY order_id (order_id)
) ${OPTIONS}`,
  )
  // Once: whose orders are long over is asked rarely.
  add(database.single('seller_orders_history'), SELLERS)
  add(
    database.single('outbox_cursor'),
    `(${STREAM}, part TINYINT UNSIGNED NOT NULL, pseq BIGINT UNSIGNED NOT NULL, first BIGINT UNSIGNED NOT NULL, updated_at BIGINT NOT NULL,
  PRIMARY KEY (stream, part)) ${OPTIONS}`,
  )
  add(
    database.single('skipped_events'),
    `(${STREAM}, part TINYINT UNSIGNED NOT NULL, first BIGINT UNSIGNED NOT NULL, last BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (stream, part, first)) ${OPTIONS}`,
  )
  add(
    database.single('dead_events'),
    `(${STREAM}, part TINYINT UNSIGNED NOT NULL, pseq BIGINT UNSIGNED NOT NULL, code VARCHAR(64) ${ASCII} NOT NULL, reason BLOB NOT NULL,
  payload MEDIUMBLOB NOT NULL, first_seen BIGINT NOT NULL, replays INT UNSIGNED NOT NULL, state VARCHAR(16) ${ASCII} NOT NULL, note BLOB NULL,
  changed_at BIGINT NOT NULL, PRIMARY KEY (stream, part, pseq), KEY state (state)) ${OPTIONS}`,
  )
  // Part -1: what was before the first event that this store has seen (audit-mark.ts).
  add(
    database.single('sku_ledger'),
    `(${STREAM}, part TINYINT NOT NULL, sku VARBINARY(256) NOT NULL, generation INT UNSIGNED NOT NULL, ${BALANCES},
  PRIMARY KEY (stream, part, sku, generation), KEY sku (sku)) ${OPTIONS}`,
  )
  // What one part's ledger was at a mark: JSON, one row each, because it is written and read only whole.
  add(
    database.single('audit_marks'),
    `(${STREAM}, part TINYINT UNSIGNED NOT NULL, mark BIGINT UNSIGNED NOT NULL, notes MEDIUMBLOB NOT NULL, PRIMARY KEY (stream, part, mark)) ${OPTIONS}`,
  )
  add(
    database.single('audit_results'),
    `(${STREAM}, mark BIGINT UNSIGNED NOT NULL, compared_at BIGINT NOT NULL, differences MEDIUMBLOB NOT NULL, PRIMARY KEY (stream, mark)) ${OPTIONS}`,
  )
  add(
    database.single('decisions'),
    `(id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, ${STREAM}, part TINYINT UNSIGNED NOT NULL, pseq BIGINT UNSIGNED NOT NULL,
  what VARCHAR(16) ${ASCII} NOT NULL, ${NOTE}) ${OPTIONS}`,
  )
  add(database.single('consumers'), `(name VARBINARY(255) NOT NULL PRIMARY KEY, seen_at BIGINT NOT NULL) ${OPTIONS}`)
  return made
}

/** For tables that were made before they had it. */
export const addNewestIndex = (database: Database, table: string): string => `ALTER TABLE \`${database.name}\`.\`${table}\` ADD ${NEWEST}`
