// Stands where the suite looks for redis-server: a node, started with the file that the suite has written for redis-server.
//
// The lines of that file that are no options of a node are taken out of it, so that CONFIG REWRITE and a restart find the rest where the
// suite looks for it; and `appendonly no`, because a node that keeps its log is the one to test. What redis-server prints at its start and
// the suite waits for, its pid and that it is ready, is printed here.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { main } from '../../../src/cli/stockd.ts'
import { OPTIONS, optionName } from '../../../src/server/options.ts'
import { Refused } from '../../../src/server/options/kinds.ts'
import { splitWords } from '../../../src/server/options/file.ts'

const parent = process.ppid
const args = process.argv.slice(2)
const file = args[0]?.startsWith('--') ? null : args[0]
const lines = file === null ? [] : readFileSync(file, 'utf8').split('\n')
if (file !== null) writeFileSync(file, lines.filter(isOption).map(besideData).join('\n') + '\n')
process.env.STOCKD_AOF_BALLAST = '0'
console.log(`stockd PID: ${process.pid}`)
await main(args)
console.log('Ready to accept connections')
// Nobody is left who would stop it when the suite itself is killed.
setInterval(() => process.ppid === parent || process.exit(1), 1000).unref()

function isOption(line: string): boolean {
  const [name, ...values] = splitWords(line) ?? ['']
  const spec = OPTIONS.get(optionName((name ?? '').toLowerCase()))
  return spec !== undefined && name !== 'appendonly' && values.length > 0 && !(spec.kind.parse(values.join(' ')) instanceof Refused)
}

/** redis-server looks for the file of users in `dir`, its working directory. */
function besideData(line: string): string {
  const dir = lines.map((one) => splitWords(one) ?? []).find(([name]) => name === 'dir')?.[1]
  const [name, value] = splitWords(line) ?? []
  return name === 'aclfile' && dir !== undefined && value !== '' ? `aclfile ${join(dir, value)}` : line
}
