// The tables of the embedded store, by version (`PRAGMA user_version`). The same tables as in MySQL, unsharded: people read them with sqlite3.
//
// An order has a number here, in the order in which orders first came; items, events and seller rows name it. Ids are random text: rows
// kept by id would be spread over the whole file, and each commit would write a page for each. Only the two indexes that must be are.
//
// Names are TEXT if they are UTF-8 and BLOB if not (ANY keeps both as they are); instants are unix ms, money minor units. STRICT: a value
// of the wrong type is refused, not bent.

/** `stoc`: says that a file is ours. */
export const APPLICATION_ID = 0x73_74_6f_63

const ORDER_COLUMNS = `
  number INTEGER PRIMARY KEY,
  id ANY NOT NULL UNIQUE,
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
  order_number INTEGER NOT NULL,
  sku ANY NOT NULL,
  quantity INTEGER NOT NULL,
  reserved INTEGER NOT NULL,
  sold INTEGER NOT NULL,
  released INTEGER NOT NULL,
  returned INTEGER NOT NULL,
  price INTEGER,
  seller ANY,
  PRIMARY KEY (order_number, sku)`

const SELLER_COLUMNS = `
  seller ANY NOT NULL,
  created_at INTEGER NOT NULL,
  order_number INTEGER NOT NULL,
  PRIMARY KEY (seller, created_at, order_number)`

const EVENT_COLUMNS = `
  stream TEXT NOT NULL,
  part INTEGER NOT NULL,
  pseq INTEGER NOT NULL,
  order_number INTEGER,
  type TEXT NOT NULL,
  time INTEGER NOT NULL,
  payload TEXT NOT NULL,
  PRIMARY KEY (stream, part, pseq)`

const BALANCES = ['total', 'available', 'reserved', 'sold']
const integers = (prefix: string): string => BALANCES.map((name) => `${prefix}${name} INTEGER NOT NULL`).join(', ')

/** The tables of live orders, and the same for history. */
const ordersOf = (suffix: '' | '_history'): string => `
CREATE TABLE orders${suffix} (${ORDER_COLUMNS}) STRICT;
CREATE INDEX orders${suffix}_buyer ON orders${suffix} (buyer, created_at) WHERE buyer IS NOT NULL;
CREATE TABLE order_items${suffix} (${ITEM_COLUMNS}) STRICT, WITHOUT ROWID;
CREATE TABLE seller_orders${suffix} (${SELLER_COLUMNS}) STRICT, WITHOUT ROWID;
CREATE TABLE order_events${suffix} (${EVENT_COLUMNS}) STRICT;
CREATE INDEX order_events${suffix}_order ON order_events${suffix} (order_number) WHERE order_number IS NOT NULL;`

/** One text for each version: executed in one transaction, with what comes behind it. Never changed once released; a change is a new one. */
export const MIGRATIONS: readonly { readonly name: string; readonly sql: string }[] = [
  {
    name: '1_orders',
    sql: `
${ordersOf('')}
${ordersOf('_history')}
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
