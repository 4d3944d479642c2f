// What is known to be wrong with the Node that runs us, for those who have not heard.
//
// CVE-2026-21717: strings that look like integers had a hash that anybody can compute, so two megabytes of them could keep a process busy
// for half a minute. What clients send here does not become such strings by itself (keys are bytes), and still it should not be possible.

/** The first release of each line that is mended; newer lines began so. `engines` in package.json says the same. */
const MENDED: ReadonlyMap<number, readonly [minor: number, patch: number]> = new Map([
  [24, [14, 1]],
  [25, [8, 2]],
])

/** @returns a line for the log, null: nothing is known. */
export function weaknessOf(version: string): string | null {
  const [major, minor, patch] = version.split('.').map(Number)
  const [wantedMinor, wantedPatch] = MENDED.get(major) ?? [0, 0]
  if (minor > wantedMinor || (minor === wantedMinor && patch >= wantedPatch)) return null
  return (
    `Node.js ${version} hashes strings that look like integers in a way that anybody can compute (CVE-2026-21717): ` +
    `${major}.${wantedMinor}.${wantedPatch} or newer is mended`
  )
}
