// What of redis-server's tests cannot pass, by unit and name: why. A name that begins with / is a pattern, as the suite reads it.
//
// Every unit that is run by default is here, also those of which nothing is skipped. Units that are not: of what there is not (bitops,
// bitfield, geo, hyperloglog, sort, scripting, functions, type/stream*, dump, tracking, wait, aofrw, maxmemory, client-eviction, replybufsize,
// cluster), networking (port and bind change at run time), shutdown (that of snapshots), and those that take minutes (querybuf, type/list-2).

const BITMAPS = 'bitmaps are not among the types'
const SCRIPTS = 'there are no scripts: FCALL is another name for STOCK commands'
const NO_SCRIPTER = 'goes on with the user of a test that lets him EVAL'
const NO_MIGRATOR = 'goes on with the user of a test that asks whether he may MIGRATE'
const STREAMS = 'there are no streams but stock:events'
const GEO = 'geo is not among the types'
const HYPERLOGLOG = 'HyperLogLog is not among the types'
const SORT = 'there is no SORT'
const DUMP = 'there is no transfer by DUMP and RESTORE'
const SNAPSHOTS = 'there are no RDB snapshots'
const REPLICAS = 'there are no replicas'
const TRACKING = 'CLIENT TRACKING is refused'
const EVICTION = 'nothing is ever evicted'
const PLACE = 'where bytes are written and who may connect cannot be changed while a node runs'
const REDIS_LOG = "looks into redis-server's own append-only file"
const REDIS_PROCESS = 'is about the process of redis-server: its arguments, its title, its hidden parameters'
const LARGE_REPLIES =
  'whatever can be stored can be read: a limit counts what a client leaves unread, not the reply that it has just asked for'

export const SKIPPED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'unit/type/string': {
    '/[SG]ETBIT': BITMAPS,
  },
  'unit/type/incr': {},
  'unit/type/hash': {
    '/Hash ziplist of various encodings': DUMP,
  },
  'unit/type/list': {
    '/when result key is created by SORT..STORE': SORT,
    '/List ziplist of various encodings': DUMP,
    'SWAPDB wants to wake blocked client, but the key already expired': REPLICAS,
    'MULTI + LPUSH + EXPIRE + DEBUG SLEEP on blocked client, key already expired': REPLICAS,
  },
  'unit/type/list-3': {},
  'unit/type/set': {},
  'unit/type/zset': {},
  'unit/keyspace': {
    '/COPY basic usage for stream': STREAMS,
    '/MOVE (basic usage|against key existing)': 'go on with what the tests of streams before them leave',
  },
  'unit/scan': {},
  'unit/expire': {
    'All time-to-live(TTL) in commands are propagated as absolute timestamp in milliseconds in AOF': REDIS_LOG,
    '/after loadaof': REDIS_LOG,
    '/Lazy-expire should not be wrapped in MULTI/EXEC': REPLICAS,
  },
  'unit/protocol': {},
  'unit/quit': {},
  'unit/limits': {},
  'unit/pubsub': {
    'Keyspace notifications: stream events test': STREAMS,
    'Keyspace notifications: evicted events': EVICTION,
  },
  'unit/pubsubshard': {
    'setup replication for following tests': REPLICAS,
  },
  'unit/multi': {
    'EXEC fail on WATCHed key modified by SORT with STORE even if the result is empty': SORT,
    '/script timeout': SCRIPTS,
    'Blocking commands ignores the timeout': STREAMS,
    'MULTI with config set appendonly': PLACE,
    'MULTI with FLUSHALL and AOF': REDIS_LOG,
    'MULTI with BGREWRITEAOF': 'counts forks, and nothing forks: a compaction is a thread',
  },
  'unit/auth': {
    'MASTERAUTH test with binary password': REPLICAS,
  },
  'unit/acl-v2': {
    '/Test BITFIELD with': BITMAPS,
    'Test various odd commands for key permissions': DUMP,
    'Existence test commands are not marked as access': NO_MIGRATOR,
    'Intersection cardinaltiy commands are access commands': HYPERLOGLOG,
    'Test general keyspace commands require some type of permission to execute': NO_MIGRATOR,
    'Cardinality commands require some type of permission to execute': NO_MIGRATOR,
    'Test sort with ACL permissions': SORT,
  },
  'unit/acl': {
    'ACLs including of a type includes also subcommands': STREAMS,
    'ACL GETUSER provides reasonable results': 'a category without commands (@bitmap) leaves no trace in what a user may',
    'ACL requires explicit permission for scripting for EVAL_RO, EVALSHA_RO and FCALL_RO': SCRIPTS,
    'ACL LOG shows failed command executions at toplevel': SCRIPTS,
    'ACL LOG shows failed subcommand executions at toplevel': SCRIPTS,
    'ACL LOG is able to test similar events': NO_SCRIPTER,
    'ACL LOG is able to log keys access violations and key name': NO_SCRIPTER,
    'ACL LOG is able to log channel access violations and channel name': NO_SCRIPTER,
    '/ACL LOG can distinguish the transaction context': NO_SCRIPTER,
    'ACL can log errors in the context of Lua scripting': SCRIPTS,
    'ACL LOG can accept a numerical argument to show less entries': NO_SCRIPTER,
    'ACL LOG entries are limited to a maximum amount': NO_SCRIPTER,
  },
  'unit/info': {
    'errorstats: failed call within LUA': SCRIPTS,
    'errorstats: failed call NOSCRIPT error': SCRIPTS,
    'errorstats: failed call NOGROUP error': STREAMS,
  },
  'unit/info-command': {},
  'unit/slowlog': {
    'SLOWLOG - Rewritten commands are logged as their original command': GEO,
  },
  'unit/latency-monitor': {
    'LATENCY of expire events are correctly collected': SCRIPTS,
  },
  'unit/introspection': {
    'MONITOR can log commands issued by the scripting engine': SCRIPTS,
    'MONITOR can log commands issued by functions': SCRIPTS,
    'CONFIG save params special case handled properly': SNAPSHOTS,
    'CONFIG REWRITE handles save and shutdown properly': SNAPSHOTS,
    'CONFIG SET with multiple args': SNAPSHOTS,
    'CONFIG SET rollback on set error': 'connections are not evicted: there is no maxmemory-clients',
    'CONFIG SET rollback on apply error': PLACE,
    'cannot modify protected configuration - local': PLACE,
    'CONFIG GET hidden configs': REDIS_PROCESS,
    '/redis-server command line arguments': REDIS_PROCESS,
    'config during loading': REDIS_PROCESS,
    'CONFIG REWRITE handles rename-command properly': 'users are kept from commands by ACL: there is no rename-command',
  },
  'unit/introspection-2': {
    '/(command|errors) stats for GEOADD': GEO,
    'command stats for MULTI': GEO,
    'command stats for scripts': SCRIPTS,
    'COMMAND GETKEYSANDFLAGS': SORT,
    '/COMMAND GETKEYS EVAL': SCRIPTS,
    '/COMMAND LIST FILTERBY ACLCAT - list all': SCRIPTS,
    'EVAL command is marked with movablekeys': SCRIPTS,
    '/SORT(_RO)? command is marked with movablekeys': SORT,
    'MIGRATE command is marked with movablekeys': DUMP,
    'GEORADIUS command is marked with movablekeys': GEO,
  },
  'unit/lazyfree': {
    '/lazy free a stream': STREAMS,
  },
  'unit/obuf-limits': {
    'No response for single command if client output buffer hard limit is enforced': LARGE_REPLIES,
    'No response for multi commands in pipeline if client output buffer limit is enforced': LARGE_REPLIES,
    'Execute transactions completely even if client output buffer limit is enforced': LARGE_REPLIES,
    'Obuf limit, KEYS stopped mid-run': LARGE_REPLIES,
  },
  'unit/other': {
    'SAVE - make sure there are all the types as values': SNAPSHOTS,
    'FLUSHALL should not reset the dirty counter if we disable save': SNAPSHOTS,
    'FLUSHALL should reset the dirty counter to 0 if we enable save': SNAPSHOTS,
    'BGSAVE': SNAPSHOTS,
    'Same dataset digest if saving/reloading as AOF?': REDIS_LOG,
    'EXPIRES after a reload (snapshot + append only file rewrite)': SNAPSHOTS,
    'EXPIRES after AOF reload (without rewrite)': PLACE,
    'Perform a final SAVE to leave a clean DB on disk': SNAPSHOTS,
    'RESET clears client state': TRACKING,
    "Don't rehash if redis has child process": SNAPSHOTS,
    'Process title set as expected': REDIS_PROCESS,
  },
  'unit/pause': {
    'Test special commands are paused by RO': HYPERLOGLOG,
    '/[Ss]cripts': SCRIPTS,
    'Test both active and passive expires are skipped during client pause': `${REPLICAS} to hand over to: keys expire while clients wait`,
  },
}
