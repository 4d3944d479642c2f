// .docker/: what compose.yml would start does start. There may be no Docker where tests run, so its commands, environments and health checks
// are taken out of the file and run here, with other ports and directories; and what it says is held against the tables of options.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { OPTIONS } from '../../../src/server/options.ts'
import { eventually } from '../../support/eventually.ts'
import { HAS_MARIADB } from '../../support/mariadb.ts'
import { freePort } from '../../support/port.ts'
import { run } from '../../support/run.ts'
import { tempDir } from '../../support/temp-dir.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const read = (name: string): string => readFileSync(join(ROOT, '.docker', name), 'utf8')

interface Service {
  readonly image: string
  readonly command?: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly ports: readonly string[]
  readonly volumes?: readonly string[]
  readonly healthcheck: { readonly test: readonly string[] }
  readonly restart: string
}

const compose = parse(read('compose.yml'), { strict: true, uniqueKeys: true }) as {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, unknown>>
}
const { node, consumer, mariadb } = compose.services

/** As compose puts values into the file. */
const filled = (text: string): string => text.replace(/\$\{\w+:\?[^}]*\}/g, 'secret')
const filledIn = (environment: Service['environment']): Record<string, string> =>
  Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, filled(value)]))
const programOf = (name: string): string => join(ROOT, 'bin', `${name}.js`)
const flagsOf = (command: readonly string[]): string[] => command.filter((word) => word.startsWith('--')).map((word) => word.slice(2))

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

/** Runs a service of ours until its health check says yes. Other words for what is not the same here. */
async function startsHealthy({ command = [], environment, healthcheck }: Service, others: ReadonlyMap<string, string>): Promise<void> {
  const here = (text: string): string => [...others].reduce((all, [word, other]) => all.replaceAll(word, other), filled(text))
  const [program, ...args] = command
  const env = { ...process.env, ...Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, here(value)])) }
  const child = spawn(process.execPath, [programOf(program), ...args.map(here)], { env, stdio: 'ignore' })
  children.push(child)
  const [how, checker, ...check] = healthcheck.test
  expect([how, checker]).toEqual(['CMD', 'node'])
  const healthy = (): Promise<boolean> => run([process.execPath, ...check.map(here)]).then(({ code }) => code === 0)
  await eventually(`${program} to be healthy`, async () => {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
    return healthy()
  })
  child.kill('SIGTERM')
  await eventually('it to stop', () => child.exitCode !== null || null)
  expect(child.exitCode).toBe(0)
  expect(await healthy()).toBe(false)
}

describe('compose.yml', () => {
  it('has a node, a broker, a consumer and a database, each with a health check, open on this machine only', () => {
    expect(Object.keys(compose.services)).toEqual(['node', 'rabbitmq', 'consumer', 'mariadb'])
    for (const [name, service] of Object.entries(compose.services)) {
      expect(service.healthcheck.test.length, name).toBeGreaterThan(1)
      expect(service.restart).toBe('unless-stopped')
      for (const port of service.ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/)
      for (const volume of service.volumes ?? []) expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0])
    }
  })

  it('holds no secret, and example.env names each that it asks for', () => {
    const asked = [...new Set([...read('compose.yml').matchAll(/\$\{(\w+)/g)].map((match) => match[1]))].toSorted()
    const named = [...read('example.env').matchAll(/^(\w+)=(.*)$/gm)]
    expect(named.map((match) => match[1]).toSorted()).toEqual(asked)
    expect(named.map((match) => match[2])).toEqual(asked.map(() => ''))
    expect(readFileSync(join(ROOT, '.gitignore'), 'utf8')).toContain('.docker/.env')
  })

  it('names options and variables that there are', async () => {
    expect(flagsOf(node.command ?? []).filter((flag) => !OPTIONS.has(flag))).toEqual([])
    const help = (await run([process.execPath, programOf('stockd-orders'), 'run', '--help'])).stdout
    for (const flag of flagsOf(consumer.command ?? [])) expect(help).toContain(`--${flag} `)
    const ofNode = Object.keys(node.environment).map((name) => name.slice('STOCKD_'.length).toLowerCase().replaceAll('_', '-'))
    expect(ofNode.filter((name) => !OPTIONS.has(name))).toEqual([])
    const doctor = (await run([process.execPath, programOf('stockd-orders'), 'doctor', '--help'])).stdout
    for (const name of Object.keys(consumer.environment)) expect(doctor).toContain(name)
  })

  it('starts a node that is healthy without anybody else', async () => {
    const [port, http] = [String(await freePort()), String(await freePort())]
    const others = [
      ['/var/lib/stockd/aof', tempDir()],
      ['0.0.0.0', '127.0.0.1'],
      ['9379', http],
      ['rabbitmq:5672', `127.0.0.1:${await freePort()}`],
    ] as const
    const command = [...(node.command ?? []), '--port', port, '--aof-ballast', '0']
    await startsHealthy({ ...node, command }, new Map(others))
  })

  it('starts a consumer that is alive without anybody else', async () => {
    const http = String(await freePort())
    const nowhere = `127.0.0.1:${await freePort()}`
    const others = [
      ['0.0.0.0', '127.0.0.1'],
      ['9380', http],
      ['rabbitmq:5672', nowhere],
      ['mariadb:3306', nowhere],
    ] as const
    await startsHealthy(consumer, new Map(others))
  })

  it('tells node and consumer of the same broker, and the consumer of the database that is made', () => {
    const [ofNode, ofConsumer] = [filledIn(node.environment), filledIn(consumer.environment)]
    expect(ofNode.STOCKD_AMQP).toBe(ofConsumer.STOCKD_AMQP)
    const url = new URL(ofConsumer.STOCKD_ORDERS_STORE)
    expect([url.hostname, url.username, url.pathname]).toEqual([
      'mariadb',
      mariadb.environment.MARIADB_USER,
      `/${mariadb.environment.MARIADB_DATABASE}`,
    ])
    expect(ofConsumer.STOCKD_NODE.split(':')[0]).toBe('node')
  })

  it.skipIf(!HAS_MARIADB)('gives MariaDB flags that it knows', () => {
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` }
    const asRoot = process.getuid?.() === 0 ? ['--user=root'] : []
    const told = execFileSync('mariadbd', ['--no-defaults', ...asRoot, ...(mariadb.command ?? []), '--help', '--verbose'], {
      encoding: 'utf8',
      env,
    })
    expect(told).toMatch(/^innodb-flush-log-at-trx-commit\s+1$/m)
    expect(told).toMatch(/^sync-binlog\s+1$/m)
  })
})

describe('Dockerfile', () => {
  it('copies what is there, and what its .dockerignore lets through', () => {
    const sources = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap((match) => match[1].split(' '))
    expect(sources.filter((source) => !existsSync(join(ROOT, source)))).toEqual([])
    const allowed = [...read('Dockerfile.dockerignore').matchAll(/^!(.*)$/gm)].map((match) => match[1])
    expect(allowed.toSorted()).toEqual(sources.toSorted())
  })
})
