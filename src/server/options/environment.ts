// Options as environment variables.

import { StockdError } from '../../base/error.ts'
import { OPTIONS } from '../options.ts'
import type { Setting } from '../options.ts'
import { readTextFile } from './file.ts'
import { nearestOption } from './suggestion.ts'

const PREFIX = 'STOCKD_'
/** What stockd-orders reads; often set for both. */
const OF_OTHER_TOOLS = /^STOCKD_(NODE|NODE_PASSWORD|ORDERS_STORE)(_FILE)?$/

/** `STOCKD_APPENDFSYNC` is appendfsync. */
export function variableOf(name: string): string {
  return `${PREFIX}${name.toUpperCase().replaceAll('-', '_')}`
}

/**
 * Settings in variables named STOCKD_...; a secret may also come as `..._FILE`, the path of a file that holds it. Other variables that
 * begin so are left alone: a container platform makes some of its own (STOCKD_SERVICE_HOST, STOCKD_PORT=tcp://10.0.0.1:7379).
 */
export function readEnvironment(environment: NodeJS.ProcessEnv): Setting[] {
  const variables = new Map(Object.entries(environment))
  const settings: Setting[] = []
  for (const [name, spec] of OPTIONS) {
    const variable = variableOf(name)
    const value = variables.get(variable)
    const path = spec.secret ? variables.get(`${variable}_FILE`) : undefined
    if (value !== undefined && path !== undefined) throw new StockdError('BAD_OPTION', `${variable} and ${variable}_FILE are both set`)
    if (path !== undefined) settings.push({ name, value: readTextFile(path, `${variable}_FILE`).replace(/\r?\n$/, '') })
    else if (value !== undefined && !(name === 'port' && value.startsWith('tcp://'))) settings.push({ name, value })
  }
  return settings
}

/** A line for each variable that is no option, but nearly: STOCKD_APPENDFSNYC=always must not be left alone without a word. */
export function misspeltVariables(environment: NodeJS.ProcessEnv): string[] {
  const lines: string[] = []
  for (const variable of Object.keys(environment)) {
    if (!variable.startsWith(PREFIX) || OF_OTHER_TOOLS.test(variable)) continue
    const name = variable.slice(PREFIX.length).toLowerCase().replaceAll('_', '-')
    if (OPTIONS.has(name) || OPTIONS.get(name.replace(/-file$/, ''))?.secret === true) continue
    const near = nearestOption(name, 2)
    if (near !== null) lines.push(`${variable} is no option and has no effect; was ${variableOf(near)} meant?`)
  }
  return lines
}
