// Options as environment variables.

import { StockdError } from '../../base/error.ts'
import { OPTIONS } from '../options.ts'
import type { Setting } from '../options.ts'
import { readTextFile } from './file.ts'

/** `STOCKD_APPENDFSYNC` is appendfsync. */
export function variableOf(name: string): string {
  return `STOCKD_${name.toUpperCase().replaceAll('-', '_')}`
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
