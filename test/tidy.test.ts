// The shape of the project, held by a test: who may import whom, what enters where, what files are called and how they open.
//
// Lint (.oxlintrc.json) holds what needs a parser: the globals that pure rooms may not touch, cycles, promises nobody awaits.

import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Room -> the rooms it may import from. The picture is in src/README.md. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  resp: ['base'],
  table: ['base'],
  stock: ['base', 'table'],
  keyspace: ['base', 'table'],
  engine: ['base', 'resp', 'stock', 'keyspace', 'table'],
  aof: ['base'],
  server: ['base', 'resp', 'engine', 'aof'],
  orders: ['base', 'resp', 'engine', 'aof'],
  cli: ['base', 'resp', 'table', 'stock', 'keyspace', 'engine', 'aof', 'server', 'orders'],
}

/** No clock, timers, I/O, randomness, process, `await`: what happens depends on the arguments and on nothing else. */
const PURE = ['base', 'resp', 'table', 'stock', 'keyspace', 'engine']

/** The one file of a pure room that touches the world: it reads the time, for the edge. */
const IMPURE_FILES = ['src/base/clock.ts']

/** npm package -> the one file of src that imports it, so that replacing it is a one-file change. */
const PACKAGES: Readonly<Record<string, string>> = {
  '@commander-js/extra-typings': 'src/cli/command-line.ts',
  '@prometheus-io/client': 'src/cli/metrics/registry.ts',
  'amqplib': 'src/orders/broker/amqp/link.ts',
  'ioredis': 'src/cli/orders/node-client.ts',
  'kysely': 'src/orders/store/mysql/migrations.ts',
  'mysql2': 'src/orders/store/mysql/server.ts',
  'pino': 'src/cli/say.ts',
}

const TOP_LEVEL = [
  'package.json',
  'tsconfig.json',
  'src',
  'bin',
  'test',
  'bench',
  'aof',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'package-lock.json',
]
const NOT_OURS = new Set(['.git', 'node_modules', 'dist', 'coverage'])

function walk(dir: string): string[] {
  return readdirSync(join(ROOT, dir), { withFileTypes: true })
    .filter((entry) => !NOT_OURS.has(entry.name))
    .flatMap((entry) => (entry.isDirectory() ? walk(join(dir, entry.name)) : [join(dir, entry.name)]))
}

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')
const sources = walk('src').filter((file) => file.endsWith('.ts'))
const code = [...sources, ...['test', 'bench', 'bin'].flatMap(walk)].filter((file) => /\.(ts|js)$/.test(file))
const roomOf = (file: string): string => file.split('/')[1]

/** What a file imports, also as a type, by `import()`, or as a worker's file. */
function importsOf(file: string): string[] {
  const text = read(file)
  const patterns = [
    /^(?:import|export)\b[^'"`;]*?\bfrom\s*'([^']+)'/gm,
    /^import\s*'([^']+)'/gm,
    /\bimport\(\s*'([^']+)'/g,
    /\bnew URL\(\s*'(\.[^']+)'/g,
  ]
  return patterns.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1]))
}

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
const isRelative = (specifier: string): boolean => specifier.startsWith('.')
const isBuiltin = (specifier: string): boolean => specifier.startsWith('node:')

describe('rooms', () => {
  it('are the ones of the table, and src/README.md lists them', () => {
    expect([...new Set(sources.map(roomOf))].toSorted()).toEqual(Object.keys(ARROWS).toSorted())
    for (const room of Object.keys(ARROWS)) expect(read('src/README.md')).toContain(`| \`${room}\` |`)
  })

  it.each(Object.keys(ARROWS))('%s imports only along its arrows', (room) => {
    const wrong: string[] = []
    for (const file of sources.filter((source) => roomOf(source) === room)) {
      for (const specifier of importsOf(file).filter(isRelative)) {
        const target = relative(ROOT, join(ROOT, dirname(file), specifier))
        if (!target.startsWith('src/')) {
          // package.json says the version, to whoever composes the process.
          if (target !== 'package.json' || room !== 'cli') wrong.push(`${file} -> ${target}`)
        } else if (roomOf(target) !== room && !ARROWS[room].includes(roomOf(target))) wrong.push(`${file} -> ${target}`)
      }
    }
    expect(wrong).toEqual([])
  })

  it('that are pure import nothing of Node and no package', () => {
    const wrong = sources
      .filter((file) => PURE.includes(roomOf(file)) && !IMPURE_FILES.includes(file))
      .flatMap((file) =>
        importsOf(file)
          .filter((specifier) => !isRelative(specifier))
          .map((specifier) => `${file} -> ${specifier}`),
      )
    expect(wrong).toEqual([])
  })

  it('that are pure are the ones whose globals lint restricts', () => {
    const config = JSON.parse(read('.oxlintrc.json')) as { overrides: { files: string[]; excludeFiles?: string[]; rules: object }[] }
    const override = config.overrides.find((candidate) => 'no-restricted-globals' in candidate.rules)
    expect(override?.files).toEqual(PURE.map((room) => `src/${room}/**`))
    expect(override?.excludeFiles).toEqual(IMPURE_FILES)
  })
})

describe('packages', () => {
  it('enter src through one file each', () => {
    const found: Record<string, string[]> = {}
    for (const file of sources) {
      const packages = importsOf(file).filter((specifier) => !isRelative(specifier) && !isBuiltin(specifier))
      for (const name of new Set(packages.map(packageOf))) (found[name] ??= []).push(file)
    }
    expect(found).toEqual(Object.fromEntries(Object.entries(PACKAGES).map(([name, file]) => [name, [file]])))
  })

  it('are pinned, and the lock names no registry', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<string, Record<string, string>>
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      expect(`${name} ${version}`).toMatch(/ (npm:[a-z0-9]+@)?\d+\.\d+\.\d+$/)
    }
    expect(read('package-lock.json')).not.toContain('"resolved"')
  })
})

describe('files', () => {
  it('of the top level are the fixed ones', () => {
    const here = readdirSync(ROOT).filter((name) => !NOT_OURS.has(name) && !name.startsWith('.'))
    expect(here.filter((name) => !TOP_LEVEL.includes(name))).toEqual([])
  })

  it('are named for one thing, in kebab-case', () => {
    const names = code.filter((file) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.(test|bench|config|d))?\.(ts|js)$/.test(basename(file)))
    expect(names).toEqual([])
    const vague = code.filter((file) => file.split('/').some((part) => /^(utils?|helpers?|common|misc|lib|index|shared)(\.|$)/.test(part)))
    expect(vague).toEqual([])
  })

  it('of src open by saying what they are', () => {
    expect(sources.filter((file) => !/^(#!.*\n)?\/\/ \S/.test(read(file)))).toEqual([])
  })

  it('of src export what they define: no barrels', () => {
    expect(sources.filter((file) => /^export\b[^=({]*(\{[^}]*\})?\s*from\s*'/m.test(read(file)))).toEqual([])
  })

  it('of src that share a first word are fewer than five, and no folder holds one file', () => {
    const folders = new Map<string, string[]>()
    for (const file of sources) folders.set(dirname(file), [...(folders.get(dirname(file)) ?? []), basename(file, '.ts')])
    for (const [folder, names] of folders) {
      expect(names.length, `${folder} holds one file`).toBeGreaterThan(1)
      const words = Map.groupBy(names, (name) => name.split('-')[0])
      for (const [word, group] of words) expect(group.length, `${folder}/${word}-*: a missing folder`).toBeLessThan(5)
    }
  })

  it('of src leave nothing for later', () => {
    expect(sources.filter((file) => /\b(TODO|FIXME|XXX|HACK)\b/.test(read(file)))).toEqual([])
  })

  it('name no machine', () => {
    const home = new RegExp(String.raw`(^|[\s'"\`(=])/(home|root|work|Users)/`)
    const texts = [...code, ...walk('.').filter((file) => file.endsWith('.md') || /^\.[a-z]+rc|^package/.test(file))]
    expect([...new Set(texts)].filter((file) => home.test(read(file)))).toEqual([])
  })
})

describe('tests', () => {
  it('do not sleep: they advance the clock or wait for an event', () => {
    const tests = walk('test').filter((file) => file.endsWith('.ts') && file !== 'test/support/eventually.ts')
    expect(
      tests.filter((file) => importsOf(file).includes('node:timers/promises') || /setTimeout\((resolve|done|r)\b/.test(read(file))),
    ).toEqual([])
  })

  it('of a room mirror src', () => {
    if (!existsSync(join(ROOT, 'test/unit'))) return
    expect(readdirSync(join(ROOT, 'test/unit')).filter((room) => !(room in ARROWS))).toEqual([])
  })
})
