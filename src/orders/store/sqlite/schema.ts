// The tables of the embedded store, by version (`PRAGMA user_version`). The same tables as in MySQL, unsharded: people read them with sqlite3.
//
// Names are TEXT if they are UTF-8 and BLOB if not (ANY keeps both as they are); instants are unix ms, money minor units. STRICT: a value
// of the wrong type is refused, not bent.

/** `stoc`: says that a file is ours. */
export const APPLICATION_ID = 0x73_74_6f_63

const ORDER_COLUMNS = `
  id ANY NOT NULL PRIMARY KEY,
  shard INTEGER NOT NULL,
  buyer ANY,
  state TEXT NOT NULL,
  version INTEGER NOT NULL,
  first_version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deadline INTEGER NOT NULL,
  ref ANY,
  reason TEXT`

const ITEM_COLUMNS = `
  order_id ANY NOT NULL,
  sku ANY NOT NULL,
  quantity INTEGER NOT NULL,
  reserved INTEGER NOT NULL,
  sold INTEGER NOT NULL,
  released INTEGER NOT NULL,
  returned INTEGER NOT NULL,
  price INTEGER,
  seller ANY,
  PRIMARY KEY (order_id, sku)`

const SELLER_COLUMNS = `
  seller ANY NOT NULL,
  order_id ANY NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (seller, order_id)`

const EVENT_COLUMNS = `
  stream TEXT NOT NULL,
  part INTEGER NOT NULL,
  pseq INTEGER NOT NULL,
  event_id TEXT NOT NULL,
  type TEXT NOT NULL,
  time INTEGER NOT NULL,
  order_id ANY,
  version INTEGER NOT NULL,
  payload BLOB NOT NULL,
  PRIMARY KEY (stream, part, pseq)`

const BALANCES = ['total', 'available', 'reserved', 'sold']
const integers = (prefix: string): string => BALANCES.map((name) => `${prefix}${name} INTEGER NOT NULL`).join(', ')

/** One text for each version: executed in one transaction, with what comes behind it. Never changed once released; a change is a new one. */
export const MIGRATIONS: readonly { readonly name: string; readonly sql: string }[] = [
  {
    name: '1_orders',
    sql: `
CREATE TABLE orders (${ORDER_COLUMNS}) STRICT, WITHOUT ROWID;
CREATE INDEX orders_buyer ON orders (buyer, created_at, id) WHERE buyer IS NOT NULL;
CREATE INDEX orders_created ON orders (created_at, id);
CREATE TABLE order_items (${ITEM_COLUMNS}) STRICT, WITHOUT ROWID;
CREATE TABLE seller_orders (${SELLER_COLUMNS}) STRICT, WITHOUT ROWID;
CREATE INDEX seller_orders_created ON seller_orders (seller, created_at, order_id);
CREATE TABLE order_events (${EVENT_COLUMNS}) STRICT;
CREATE INDEX order_events_order ON order_events (order_id) WHERE order_id IS NOT NULL;

CREATE TABLE orders_history (${ORDER_COLUMNS}) STRICT, WITHOUT ROWID;
CREATE INDEX orders_history_buyer ON orders_history (buyer, created_at, id) WHERE buyer IS NOT NULL;
CREATE INDEX orders_history_created ON orders_history (created_at, id);
CREATE TABLE order_items_history (${ITEM_COLUMNS}) STRICT, WITHOUT ROWID;
CREATE TABLE seller_orders_history (${SELLER_COLUMNS}) STRICT, WITHOUT ROWID;
CREATE INDEX seller_orders_history_created ON seller_orders_history (seller, created_at, order_id);
CREATE TABLE order_events_history (${EVENT_COLUMNS}) STRICT;
CREATE INDEX order_events_history_order ON order_events_history (order_id) WHERE order_id IS NOT NULL;

CREATE TABLE outbox_cursor (
  stream TEXT NOT NULL, part INTEGER NOT NULL, pseq INTEGER NOT NULL, first INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  PRIMARY KEY (stream, part)
) STRICT, WITHOUT ROWID;
-- Events that an operator has said will not come: setCursor.
CREATE TABLE skipped_events (
  stream TEXT NOT NULL, part INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, note TEXT NOT NULL, skipped_at INTEGER NOT NULL,
  PRIMARY KEY (stream, part, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE dead_events (
  stream TEXT NOT NULL, part INTEGER NOT NULL, pseq INTEGER NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL, payload BLOB NOT NULL,
  first_seen INTEGER NOT NULL, replays INTEGER NOT NULL, state TEXT NOT NULL, note TEXT, changed_at INTEGER NOT NULL,
  PRIMARY KEY (stream, part, pseq)
) STRICT;
-- Part -1: what was before the first event that this store has seen (audit-mark.ts).
CREATE TABLE sku_ledger (
  stream TEXT NOT NULL, part INTEGER NOT NULL, sku ANY NOT NULL, generation INTEGER NOT NULL, ${integers('')},
  PRIMARY KEY (stream, sku, generation, part)
) STRICT, WITHOUT ROWID;
-- A row of SKU '' and generation 0 says that the part has reached the mark.
CREATE TABLE audit_marks (
  stream TEXT NOT NULL, mark INTEGER NOT NULL, part INTEGER NOT NULL, sku ANY NOT NULL, generation INTEGER NOT NULL,
  ${integers('node_')}, ${integers('stored_')},
  PRIMARY KEY (stream, mark, sku, generation, part)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit_results (
  stream TEXT NOT NULL, mark INTEGER NOT NULL, compared_at INTEGER NOT NULL, differences TEXT NOT NULL,
  PRIMARY KEY (stream, mark)
) STRICT, WITHOUT ROWID;
CREATE TABLE consumers (name TEXT NOT NULL PRIMARY KEY, seen_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE probe (one INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT;
`,
  },
]
