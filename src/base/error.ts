// Operational errors: the disk, a peer, an option. Refusals are values and bugs are assertions; neither is a StockdError.

export type ErrorCode =
  | 'BAD_OPTION' // a flag, an environment variable or a line of the option file
  | 'BAD_DIRECTORY' // the data directory cannot be used
  | 'DIRECTORY_LOCKED' // another node holds it
  | 'LOG_CORRUPT' // bytes in the log that were once right and are not any more
  | 'LOG_TOO_NEW' // written by a newer stockd
  | 'LOG_SEMANTIC' // well-formed records that contradict the state they act on
  | 'LOG_WRITE' // write, fsync, rename ... failed
  | 'LISTEN' // the port cannot be opened
  | 'BROKER' // the message broker cannot be reached, says no, or is set up differently
  | 'NODE' // a node that a tool asks cannot be reached, says no, or is none

export class StockdError extends Error {
  override readonly name = 'StockdError'
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
