// Which nodes a command asks: --node, else the node that runs here with its defaults. Passwords come from the environment or a file, never
// from a flag.

import { readFileSync } from 'node:fs'
import { StockdError } from '../../base/error.ts'
import { OPTIONS } from '../../server/options.ts'
import { badArgument } from '../command-line.ts'
import { NodeClient } from './node-client.ts'

export const NODE_VARIABLE = 'STOCKD_NODE'

export interface NodeOptions {
  readonly node?: readonly string[] | undefined
  readonly nodeUser?: string | undefined
}

/** Connects to nothing yet. @throws StockdError BAD_OPTION */
export function makeNodes({ node, nodeUser }: NodeOptions, environment: NodeJS.ProcessEnv, timeoutMs?: number): NodeClient[] {
  const given = environment[NODE_VARIABLE] ?? ''
  const addresses =
    node ?? (given === '' ? [`127.0.0.1:${String(OPTIONS.get('port')?.default)}`] : given.split(',').map((text) => text.trim()))
  const user = nodeUser ?? nonEmpty(environment[`${NODE_VARIABLE}_USER`])
  const password = passwordOf(environment)
  return [...new Set(addresses)].map((address) => {
    const found = parseAddress(address)
    if (found === null) throw new StockdError('BAD_OPTION', `a node is host:port, not ${JSON.stringify(address.slice(0, 80))}`)
    return new NodeClient({ ...found, user, password }, timeoutMs)
  })
}

/** For commander: `--node a:1 --node b:2`, and `--node a:1,b:2`. */
export function collectNodes(text: string, before: readonly string[] | undefined): readonly string[] {
  const nodes = text.split(',').map((one) => one.trim())
  if (nodes.some((node) => parseAddress(node) === null)) throw badArgument('expected host:port.')
  return [...(before ?? []), ...nodes]
}

const nonEmpty = (text: string | undefined): string | null => (text === undefined || text === '' ? null : text)

function parseAddress(text: string): { host: string; port: number } | null {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:@/[\]]+)):(\d{1,5})$/.exec(text)
  const port = Number(found?.[3])
  return found !== null && port >= 1 && port <= 65_535 ? { host: found[1] ?? found[2], port } : null
}

function passwordOf(environment: NodeJS.ProcessEnv): string | null {
  const given = environment[`${NODE_VARIABLE}_PASSWORD`]
  if (given !== undefined && given !== '') return given
  const file = environment[`${NODE_VARIABLE}_PASSWORD_FILE`]
  if (file === undefined || file === '') return null
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new StockdError('BAD_OPTION', `${NODE_VARIABLE}_PASSWORD_FILE ${file} cannot be read (${code})`, { cause: error })
  }
}
