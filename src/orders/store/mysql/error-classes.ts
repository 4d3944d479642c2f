// What an error of MySQL, of MariaDB, or of the way there means for who asked: the table of ORDERS.md 5, with what to do in words.
//
// The server's number decides where there is one; numbers above 1900 differ between MySQL and MariaDB, and no number here means two things.
// What is not in the table is `unknown`: waited for like an outage, and alarmed about.

import { StoreError, type StoreErrorClass } from '../store-error.ts'

interface Meaning {
  readonly kind: StoreErrorClass
  readonly says: string
}

const wait = (says: string): Meaning => ({ kind: 'wait', says })
const again = (says: string): Meaning => ({ kind: 'again', says })
const poison = (says: string): Meaning => ({ kind: 'poison', says })
/** Known, but only a person can end it: with the alarm of what nobody knows. */
const operator = (says: string): Meaning => ({ kind: 'unknown', says })

const GONE = wait('the connection was lost')
const STOPPING = wait('the server is being stopped')
const READ_ONLY = wait('the server takes no writes (read_only): is it a replica? Name the primary, or SET GLOBAL read_only = 0 there')
const FULL = wait("the server's disk is full: make room there")
const CONNECTIONS = wait('the server has no connection left: raise max_connections, or give fewer to this and other programs')
const DEADLOCK = again('another transaction was in the way')
const RIGHTS = operator('this user may not do that')
const TOO_LONG = wait('a statement took longer than it may')
const NO_FIT = poison('a value does not fit its column')
const CHECK = poison('a value breaks a rule of its table')

const NUMBERS: Readonly<Record<number, Meaning>> = {
  // A server, but none that takes writes now.
  1040: CONNECTIONS,
  1203: CONNECTIONS, // max_user_connections
  1226: CONNECTIONS, // a resource limit of the account
  1053: STOPPING,
  1077: STOPPING,
  1079: STOPPING,
  3032: wait('the server is in offline mode'), // MySQL
  1129: wait('the server refuses this host after too many failed connections: run FLUSH HOSTS (mysqladmin flush-hosts) there'),
  1047: wait('the server is not ready (a Galera node that is not synced?)'),
  1062: again('another transaction wrote the same row'),
  1205: again('a lock was held too long by another transaction'),
  1206: again('the server has no room for more locks'),
  1213: DEADLOCK,
  1020: DEADLOCK, // the row changed since it was read
  3101: DEADLOCK, // MySQL's group replication: another member was faster
  1412: again('a table was changed meanwhile'),
  1615: again('a table was changed meanwhile'),
  1290: READ_ONLY,
  1792: READ_ONLY, // within a READ ONLY transaction
  1836: READ_ONLY, // MySQL's innodb_read_only; super_read_only is 1290
  1874: READ_ONLY, // InnoDB is in read-only mode
  1021: FULL,
  1114: wait("a table is full: is there room on the server's disk?"),
  3: FULL,
  1026: FULL,
  1030: wait("the storage engine failed: look at the server's error log, and at the free space there"),
  1037: wait('the server is out of memory'),
  1038: wait('the server is out of memory'),
  1041: wait('the server is out of memory'),
  1135: wait('the server cannot make a thread'),
  1180: wait('COMMIT failed in the server'),
  3100: wait('COMMIT failed in the server'), // MySQL's group replication
  // The way there.
  1080: GONE,
  1152: GONE,
  1158: GONE,
  1159: GONE,
  1160: GONE,
  1161: GONE,
  1184: GONE,
  2002: wait('there is no server'),
  2003: wait('there is no server'),
  2006: GONE,
  2013: GONE,
  4031: GONE, // MySQL: idle for too long
  1927: wait('the connection was killed'), // MariaDB
  1317: wait('the statement was killed'),
  1969: TOO_LONG, // MariaDB's max_statement_time
  3024: TOO_LONG, // MySQL's max_execution_time
  // Data that will never go in.
  1048: NO_FIT,
  1264: NO_FIT,
  1265: NO_FIT,
  1292: NO_FIT,
  1300: NO_FIT,
  1366: NO_FIT,
  1367: NO_FIT,
  1406: NO_FIT,
  1690: NO_FIT,
  3140: NO_FIT, // MySQL: JSON
  1153: poison('it is larger than max_allowed_packet of the server'),
  1118: poison('a row is too large'),
  1452: CHECK,
  3819: CHECK, // MySQL
  4025: CHECK, // MariaDB
  // Somebody has to do something.
  1044: RIGHTS,
  1045: operator('the server does not know this user or password'),
  1142: RIGHTS,
  1143: RIGHTS,
  1227: RIGHTS,
  1370: RIGHTS,
  1698: operator('the server does not know this user or password'),
  1049: operator('there is no such database: run stockd-orders migrate'),
  1054: operator('a column is missing: run stockd-orders migrate'),
  1146: operator('a table is missing: run stockd-orders migrate'),
  1665: operator('binlog_format is STATEMENT, which cannot log READ COMMITTED transactions: set it to ROW'),
  1820: operator("the user's password has expired"),
}

/** Of Node's sockets and of mysql2. */
const CODES: Readonly<Record<string, Meaning>> = {
  ECONNREFUSED: wait('there is no server'),
  ECONNRESET: GONE,
  ECONNABORTED: GONE,
  EPIPE: GONE,
  ENOENT: wait('there is no server at that socket'),
  ETIMEDOUT: wait('the server does not answer'),
  EHOSTUNREACH: wait('the host cannot be reached'),
  EHOSTDOWN: wait('the host cannot be reached'),
  ENETUNREACH: wait('the host cannot be reached'),
  ENETDOWN: wait('the host cannot be reached'),
  ENOTFOUND: wait('the host is not known'),
  EAI_AGAIN: wait('the host is not known at the moment'),
  EMFILE: wait('this process has no file handle left'),
  PROTOCOL_CONNECTION_LOST: GONE,
  PROTOCOL_SEQUENCE_TIMEOUT: wait('the server did not answer in time'),
  PROTOCOL_ENQUEUE_AFTER_FATAL_ERROR: GONE,
  ER_SERVER_SHUTDOWN: STOPPING,
  HANDSHAKE_NO_SSL_SUPPORT: operator('the server does not speak TLS: enable it there, or leave tls out of the URL'),
  HANDSHAKE_SSL_ERROR: operator('TLS failed (a server is checked by its host name, never by its address)'),
  HANDSHAKE_UNKNOWN_ERROR: operator('the server could not be understood: is it MySQL?'),
  AUTH_SWITCH_PLUGIN_ERROR: operator('the server wants a way of authentication that is not supported'),
}

interface MysqlFailure extends Error {
  readonly code?: string
  readonly errno?: number
  /** The whole statement, with all its data. */
  sql?: string
}

/**
 * The error as its class; anything that is not about the database is a bug, and comes back as it is.
 *
 * @param where the server without its password, for the message
 */
export function asStoreError(error: unknown, where: string): unknown {
  if (!(error instanceof Error) || error instanceof StoreError) return error
  const failure = flat(error)
  // Whoever logs this must not log a batch of orders.
  delete failure.sql
  const { code, errno, message } = failure
  // Node's sockets have negative numbers, the server's are positive.
  const meaning = (errno !== undefined && errno > 0 ? NUMBERS[errno] : undefined) ?? (code === undefined ? undefined : CODES[code])
  const told = errno !== undefined && errno > 0 ? String(errno) : (code ?? '')
  if (meaning !== undefined) return new StoreError(meaning.kind, told, `${where}: ${meaning.says} (${message})`, { cause: error })
  // No code of the server's or the network's: our own mistake.
  if (told === '' || code?.startsWith('ERR_') === true) return error
  return new StoreError('unknown', told, `${where}: ${message}`, { cause: error })
}

/** A host with several addresses fails with one error for each. */
function flat(error: Error): MysqlFailure {
  if (!(error instanceof AggregateError)) return error
  const [first] = error.errors as unknown[]
  return first instanceof Error ? first : error
}
