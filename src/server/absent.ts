// What Redis has and a node has not, by the names of its commands: behind `unknown command` whoever asks hears that it is not his mistake,
// and what there is instead. Only names of Redis are here; of any other name there is nothing to say.

const NO_SCRIPTS = 'no scripts here; MULTI, INCREX, CL.THROTTLE and the STOCK commands are one step each'
const NO_BITMAPS = 'no bitmaps here; a set of numbers does their work'
const NO_GEO = 'no geo commands here'
const NO_HYPERLOGLOG = 'no HyperLogLog here; a set counts exactly, with SCARD'
const NO_SORT = 'no SORT here; a sorted set is kept in order, ZRANGE reads it'
const NO_TRANSFER = 'no RDB here; COPY copies a key, the program stockd-aof exports and imports a log'
const NO_REPLICAS = 'no replicas here'

const ABSENT: ReadonlyMap<string, string> = new Map(
  (
    [
      [NO_SCRIPTS, 'EVAL EVAL_RO EVALSHA EVALSHA_RO SCRIPT'],
      [NO_BITMAPS, 'BITCOUNT BITFIELD BITFIELD_RO BITOP BITPOS GETBIT SETBIT'],
      [NO_GEO, 'GEOADD GEODIST GEOHASH GEOPOS GEORADIUS GEORADIUS_RO GEORADIUSBYMEMBER GEORADIUSBYMEMBER_RO GEOSEARCH GEOSEARCHSTORE'],
      [NO_HYPERLOGLOG, 'PFADD PFCOUNT PFDEBUG PFMERGE PFSELFTEST'],
      [NO_SORT, 'SORT SORT_RO'],
      [NO_TRANSFER, 'DUMP MIGRATE RESTORE RESTORE-ASKING'],
      [NO_REPLICAS, 'FAILOVER PSYNC REPLCONF SYNC'],
    ] as const
  ).flatMap(([why, names]) => names.split(' ').map((name): [string, string] => [name, why])),
)

/** What to add to the error for a command that is not here; empty if there is nothing to add. */
export function absence(name: string): string {
  const why = ABSENT.get(name.toUpperCase())
  return why === undefined ? '' : `(${why})`
}
