// A key's row: header, key and value in one piece of an arena, so that a key costs one index slot, one row and no object.
//
//   word 0    length of the key (30 bits) | encoding (2 bits)
//   word 1    length of the value
//   word 2    kind (4 bits) | second of the last access (28 bits: wraps after 8.5 years)
//   word 3    slot in the database's expiry heap; 0: the key does not expire
//   byte 16   the key's bytes, then the value's
//
// A string's value is its bytes, a SKU's value is its number. A collection (hash, list, set, sorted set) is packed here while it is small;
// a large one lives beside the rows, and its row keeps the number of its slot (collections/collection.ts).

export const KEY_LENGTH = 0
export const VALUE_LENGTH = 1
export const KIND_AND_ACCESS = 2
export const EXPIRY_SLOT = 3
/** Bytes before the key. */
export const KEY_AT = 16

export const KEY_LENGTH_MASK = 0x3fffffff
export const ENCODING_MASK = ~KEY_LENGTH_MASK
export const KIND_SHIFT = 28
export const ACCESS_MASK = (1 << KIND_SHIFT) - 1

export const KIND_STRING = 0
/** A SKU of the ledger. Lives in database 0; ordinary commands see it and leave it alone. */
export const KIND_STOCK = 1
/** A stream whose entries are kept elsewhere. Only `Database.reserve` makes its row, which is in no list of keys. */
export const KIND_STREAM = 2
export const KIND_HASH = 3
export const KIND_LIST = 4
export const KIND_SET = 5
export const KIND_ZSET = 6
export type CollectionKind = typeof KIND_HASH | typeof KIND_LIST | typeof KIND_SET | typeof KIND_ZSET
export type Kind = typeof KIND_STRING | typeof KIND_STOCK | typeof KIND_STREAM | CollectionKind
/** This kind and all above it are collections. */
export const FIRST_COLLECTION = KIND_HASH

/** What TYPE and SCAN ... TYPE call a kind. */
export const KIND_NAMES: readonly string[] = ['string', 'stock', 'stream', 'hash', 'list', 'set', 'zset']

// How Redis would keep this string; only OBJECT ENCODING and REFCOUNT tell. The bytes themselves are always kept as they are.
/** By its looks: `int` if it is a canonical int64, else `embstr` up to 44 bytes, else `raw`. */
export const ENCODING_NATURAL = 0
/** `raw` whatever it looks like: what APPEND and SETRANGE leave behind. */
export const ENCODING_RAW = 1 << 30
/** Never `int`: what INCRBYFLOAT makes. */
export const ENCODING_TEXT = 2 << 30
/** As natural, but a number of its own instead of one of Redis's shared small ones: what COPY makes. */
export const ENCODING_UNSHARED = 3 << 30

// The same two bits of a collection.
/** Redis would keep it as a hash table (or skip list) by now, and goes on doing so however small it gets; only OBJECT ENCODING tells. */
export const GROWN = 1 << 30
/** It lives beside the rows: the row's value is the number of its slot. */
export const BESIDE = 2 << 30

/** The value of a row whose collection lives beside it. */
export const SLOT_BYTES = 4

/** The value of a SKU's row: a 32-bit number. */
export const STOCK_VALUE_BYTES = 4
