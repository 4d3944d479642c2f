// The version of this program, from its package.json: the nearest one above this file, whether it runs from src or from a build.

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const STOCKD_VERSION = readVersion(dirname(fileURLToPath(import.meta.url)))

function readVersion(directory: string): string {
  const path = join(directory, 'package.json')
  if (existsSync(path)) return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
  const parent = dirname(directory)
  return parent === directory ? 'unknown' : readVersion(parent)
}
