// Every limit of the log, with its reason.

const MIB = 1024 * 1024

/** A line of ours: Redis reads annotations of at most 1,024 bytes. */
export const LINE_BYTES_MAX = 1024
/** A batch's body: what recovery must be able to hold in memory at once. A single value may have 512 MiB. */
export const BODY_BYTES_MAX = 1024 * MIB
/** A segment is rotated when it has this size: small enough to write again after an unclean stop (0.1 s), large enough to be few. */
export const SEGMENT_BYTES = 64 * MIB
/** Records that wait for a slow or full disk; beyond it write commands are refused. */
export const QUEUE_BYTES_MAX = 64 * MIB
/** Batches kept in memory until they are durable, so that they can be written again after a failed fsync. */
export const RETAINED_BYTES_MAX = 256 * MIB
/** Below this free space write commands are refused (or four segments, if that is more). */
export const MIN_FREE_BYTES = 256 * MIB
/** everysec: an fsync that takes longer than this stops writes. */
export const SYNC_LATE_MS = 2000
/** How often a full disk is probed, free space is read, everysec syncs, and an idle log notes what is durable. */
export const SECOND_MS = 1000
/** Memory taken at a time for batches. */
export const CHUNK_BYTES = 1 * MIB
/** Bytes read at a time. */
export const READ_BYTES = 4 * MIB
