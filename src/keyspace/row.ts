// A key's row: header, key and value in one piece of an arena, so that a key costs one index slot, one row and no object.
//
//   word 0    length of the key (30 bits) | encoding (2 bits)
//   word 1    length of the value
//   word 2    kind (4 bits) | second of the last access (28 bits: wraps after 8.5 years)
//   word 3    slot in the database's expiry heap; 0: the key does not expire
//   byte 16   the key's bytes, then the value's
//
// A string's value is its bytes, a SKU's value is its number. Kinds whose value does not fit a row (hashes, lists ...) will keep a slot
// number here in the same way.

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
export type Kind = typeof KIND_STRING | typeof KIND_STOCK | typeof KIND_STREAM

/** What TYPE and SCAN ... TYPE call a kind. */
export const KIND_NAMES: readonly string[] = ['string', 'stock', 'stream']

// How Redis would keep this string; only OBJECT ENCODING and REFCOUNT tell. The bytes themselves are always kept as they are.
/** By its looks: `int` if it is a canonical int64, else `embstr` up to 44 bytes, else `raw`. */
export const ENCODING_NATURAL = 0
/** `raw` whatever it looks like: what APPEND and SETRANGE leave behind. */
export const ENCODING_RAW = 1 << 30
/** Never `int`: what INCRBYFLOAT makes. */
export const ENCODING_TEXT = 2 << 30
/** As natural, but a number of its own instead of one of Redis's shared small ones: what COPY makes. */
export const ENCODING_UNSHARED = 3 << 30

/** The value of a SKU's row: a 32-bit number. */
export const STOCK_VALUE_BYTES = 4
