// The wire of one session, as the turn sees it: somebody who takes bytes. A socket in a real node, an array in tests and simulations.

export interface Transport {
  readonly addr: string
  readonly laddr: string
  /** True if the peer is on this machine: protected mode and reserved slots ask. */
  readonly isLoopback: boolean
  /** A number for CLIENT LIST's `fd=`. */
  readonly fd: number
  /** Bytes that were written and not yet taken by the kernel. */
  readonly queued: number
  /** @returns true if all bytes were taken (or nobody is there any more): they may be overwritten; false: their memory must stay as it is. */
  write(bytes: Buffer): boolean
  /** Stops reading, so that the peer's own sending blocks. */
  pause(): void
  resume(): void
  /** Sends no more; closes once what was written has left and the peer has had the time to see it. */
  end(): void
  /** Closes at once. */
  destroy(): void
}
