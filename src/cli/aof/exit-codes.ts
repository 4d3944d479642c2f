// What the tool's exit code says.

export const EXIT_OK = 0
/** The end is torn: nothing that was promised is missing. */
export const EXIT_TORN = 1
/** Bytes that were once right are not any more. */
export const EXIT_CORRUPT = 2
/** The bytes are right, but a record contradicts the state. */
export const EXIT_SEMANTIC = 3
/** The tool could not do its work: a wrong flag, a missing directory, no permission, no room. */
export const EXIT_FAILED = 4
