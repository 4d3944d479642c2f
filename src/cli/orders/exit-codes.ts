// What the exit code of stockd-orders says.

export const EXIT_OK = 0
/** What was asked for is not there. */
export const EXIT_NOT_FOUND = 1
/** Something is wrong: differences, dead events, findings. */
export const EXIT_WRONG = 2
/** The database or the broker cannot be used: not there, no permission, no tables. */
export const EXIT_UNAVAILABLE = 3
/** The tool could not do its work: a wrong flag, a value that is none. */
export const EXIT_FAILED = 4
/** A bug of ours. */
export const EXIT_BUG = 70

// reconcile and doctor answer a question, and do it as diff(1) does: 0 equal, or well; 1 different, or worth a look; 2 could not compare, or
// broken.

export const EXIT_DIFFERENT = 1
export const EXIT_TROUBLE = 2
