// Brings the programs that the tests compare with, from Debian, when they are missing and this user may install them.
//
//   node test/support/programs.ts
//
// Not root, or not Debian: it prints the line to run; the tests that need a missing program are then skipped with a reason.
// STOCKD_REQUIRE_PROGRAMS=1 makes a missing program an error, for CI.

import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs'

interface Program {
  readonly name: string
  readonly packageName: string
  isThere(): boolean
}

const onPath = (name: string, packageName: string): Program => ({
  name,
  packageName,
  isThere: () => spawnSync('sh', ['-c', 'command -v "$1"', 'sh', name]).status === 0,
})

const PROGRAMS: readonly Program[] = [
  onPath('redis-server', 'redis-server'),
  onPath('redis-cli', 'redis-tools'),
  onPath('redis-benchmark', 'redis-tools'),
  onPath('redis-check-aof', 'redis-tools'),
  onPath('strace', 'strace'),
  onPath('openssl', 'openssl'),
  // Not on everybody's path: Debian's start script is for its own user.
  { name: 'rabbitmq-server', packageName: 'rabbitmq-server', isThere: () => existsSync('/usr/lib/rabbitmq/bin/rabbitmq-server') },
  { ...onPath('mariadbd', 'mariadb-server-core'), isThere: () => onPath('mariadbd', '').isThere() || existsSync('/usr/sbin/mariadbd') },
  {
    name: "python3's redis module",
    packageName: 'python3-redis',
    isThere: () => spawnSync('/usr/bin/python3', ['-c', 'import redis']).status === 0,
  },
  onPath('php', 'php-cli'),
  {
    name: "php's redis extension",
    packageName: 'php-redis',
    isThere: () => spawnSync('php', ['-r', 'exit(extension_loaded("redis") ? 0 : 1);']).status === 0,
  },
  {
    name: "ruby's redis library",
    packageName: 'ruby-redis',
    isThere: () => spawnSync('ruby', ['-e', 'require "redis"']).status === 0,
  },
]

// Debian starts a daemon when its package is installed, unless this script says no.
const POLICY = '/usr/sbin/policy-rc.d'

const missing = PROGRAMS.filter((program) => !program.isThere())
if (missing.length > 0) {
  const packages = [...new Set(missing.map((program) => program.packageName))]
  const line = `apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}`
  const mayInstall = process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')
  if (mayInstall) install(line)
  const stillMissing = missing.filter((program) => !program.isThere())
  if (stillMissing.length > 0) {
    console.error(
      `missing: ${stillMissing.map((program) => program.name).join(', ')}. The tests that need them are skipped. To have them, as root:\n  ${line}`,
    )
    if (process.env.STOCKD_REQUIRE_PROGRAMS === '1') process.exitCode = 1
  }
}

function install(line: string): void {
  console.error(`installing what the tests compare with: ${line}`)
  const denyDaemons = !existsSync(POLICY)
  if (denyDaemons) {
    writeFileSync(POLICY, '#!/bin/sh\nexit 101\n')
    chmodSync(POLICY, 0o755)
  }
  try {
    spawnSync('sh', ['-c', line], { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
  } finally {
    if (denyDaemons) rmSync(POLICY)
  }
}
