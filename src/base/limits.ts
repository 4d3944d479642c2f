// Everything has a limit, and every limit has a reason. What an operator may change is an option (server/options); its default is here.

const KIB = 1024
const MIB = 1024 * KIB

// Requests (resp/parser.ts)

/** Arguments of one request. Redis takes 2^31; nobody sends so many, and each costs 8 bytes before it is known what it is for. */
export const ARGUMENTS_MAX = 1_048_576
/** Arguments of a request before AUTH: as Redis. HELLO with AUTH and SETNAME needs 7. */
export const UNAUTHENTICATED_ARGUMENTS_MAX = 10
/** Bytes of one argument before AUTH: as Redis; a password fits. */
export const UNAUTHENTICATED_BULK_BYTES_MAX = 16_384
/** Bytes that an unauthenticated session may have waiting: ten arguments of the size above would be 160 KiB for nothing. */
export const UNAUTHENTICATED_QUERY_BYTES_MAX = 64 * KIB
/** Bytes of an inline request, and of a `*n` or `$n` line: as Redis. */
export const INLINE_BYTES_MAX = 64 * KIB
/** Arguments of a STOCK command: 100 items are 200 words, options and names some more. */
export const STOCK_ARGUMENTS_MAX = 256
/** Bytes of one argument of a STOCK command: names and numbers. The commands have smaller limits still, and say which. */
export const STOCK_BULK_BYTES_MAX = 16_384
/** Bytes of a request whose arguments are words, not data (CLIENT, CONFIG, STOCK ...): such words become strings of JavaScript. */
export const WORDS_BYTES_MAX = MIB
/** Bytes of one argument (`proto-max-bulk-len`): as Redis. Positions in a request are 32-bit: a few of the largest must fit. */
export const BULK_BYTES_MAX = 512 * MIB

// Strings (keyspace)

/** Bytes of a string value after APPEND or SETRANGE: `proto-max-bulk-len` again, what cannot come in must not grow in. */
export const STRING_BYTES_MAX = BULK_BYTES_MAX
