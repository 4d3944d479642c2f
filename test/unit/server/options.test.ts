import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OPTIONS, Options, optionTable } from '../../../src/server/options.ts'
import { misspeltVariables, readEnvironment, variableOf } from '../../../src/server/options/environment.ts'
import { parseOptionFile, rewritten, splitWords } from '../../../src/server/options/file.ts'
import { flagHelp, readFlags } from '../../../src/server/options/flags.ts'
import { Refused } from '../../../src/server/options/kinds.ts'
import { startOptions } from '../../../src/server/options/start.ts'

const NO_FLAGS = { settings: [], file: null, secrets: [], help: false, version: false }
const change = (options: Options, ...pairs: string[]): string => {
  const settings = Array.from({ length: pairs.length / 2 }, (_, i) => ({ name: pairs[2 * i], value: pairs[2 * i + 1] }))
  const refusal = options.change(settings)
  return refusal === null ? 'OK' : `${refusal.name ?? '-'}: ${refusal.reason}`
}
const message = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    return (error as Error).message
  }
  return 'no error'
}

describe('values', () => {
  it('every default is a value of its option, and its text reads back as the same', () => {
    for (const [name, spec] of OPTIONS) {
      const text = spec.kind.format(spec.default)
      expect({ name, value: spec.kind.parse(text) }).toEqual({ name, value: spec.default })
    }
  })

  it.each([
    ['maxmemory', '1', '1'],
    ['maxmemory', '1k', '1000'],
    ['maxmemory', '1kb', '1024'],
    ['maxmemory', '64MB', '67108864'],
    ['maxmemory', '2g', '2000000000'],
    ['maxmemory', '1GB', '1073741824'],
    ['restart-grace', '30', '30'],
    ['restart-grace', '1500ms', '1500ms'],
    ['restart-grace', '2m', '120'],
    ['order-retention', '24h', '86400'],
    ['return-window', '7d', '604800'],
    ['appendfsync', 'ALWAYS', 'always'],
    ['latency-tracking', 'No', 'no'],
    ['slowlog-log-slower-than', '-1', '-1'],
    ['client-output-buffer-limit', 'pubsub 1mb 1kb 5', 'normal 67108864 0 0 slave 268435456 67108864 60 pubsub 1048576 1024 5'],
  ])('%s %s is %s', (name, given, shown) => {
    const options = new Options()
    expect(change(options, name, given)).toBe('OK')
    expect(options.text(name)).toBe(shown)
  })

  it.each([
    ['timeout', '+1', "argument couldn't be parsed into an integer"],
    ['timeout', ' 1', "argument couldn't be parsed into an integer"],
    ['timeout', '1e3', "argument couldn't be parsed into an integer"],
    ['timeout', '0x10', "argument couldn't be parsed into an integer"],
    ['timeout', '-0', "argument couldn't be parsed into an integer"],
    ['timeout', '', "argument couldn't be parsed into an integer"],
    ['timeout', '2147483648', 'argument must be between 0 and 2147483647 inclusive'],
    ['maxmemory', '-1', 'argument must be a memory value'],
    ['maxmemory', '1tb', 'argument must be a memory value'],
    ['maxmemory', '9999999999999999gb', 'argument must be a memory value'],
    ['restart-grace', '1w', 'argument must be a duration like 500ms, 30s, 15m, 24h or 7d'],
    ['restart-grace', '-1', 'argument must be a duration like 500ms, 30s, 15m, 24h or 7d'],
    ['restart-grace', '99999999999', 'argument must be at most 36500d'],
    ['maxmemory-policy', 'allkeys-lru', 'argument(s) must be one of the following: noeviction'],
    ['amqp-prefix', 'a\nb', "can't set immutable config"],
    ['save', '900 1', 'stockd writes a log, not RDB snapshots: only "" is accepted'],
  ])('%s %j is refused', (name, given, reason) => {
    const options = new Options()
    expect(change(options, name, given)).toBe(`${name}: ${reason}`)
    expect(options.text(name)).toBe(new Options().text(name))
  })

  it('no text whatever makes a kind throw or change its mind', () => {
    const kinds = [...OPTIONS.values()].map((spec) => spec.kind)
    fc.assert(
      fc.property(fc.constantFrom(...kinds), fc.string({ maxLength: 40 }), (kind, text) => {
        const value = kind.parse(text)
        if (value instanceof Refused) return
        expect(kind.parse(kind.format(value))).toEqual(value)
      }),
    )
  })
})

describe('changes at run time', () => {
  it('takes several options or none of them', () => {
    const options = new Options()
    expect(change(options, 'timeout', '5', 'hz', '20')).toBe('OK')
    expect(change(options, 'timeout', '6', 'hz', 'x')).toBe("hz: argument couldn't be parsed into an integer")
    expect(change(options, 'timeout', '6', 'nothing', '1')).toBe("-: Unknown option or number of arguments for CONFIG SET - 'nothing'")
    expect(change(options, 'timeout', '6', 'TIMEOUT', '7')).toBe('TIMEOUT: duplicate parameter')
    expect([options.values.timeout, options.values.hz]).toEqual([5, 20])
  })

  it('shows parameters that mean nothing here, takes what changes nothing, and promises nothing', () => {
    const options = new Options()
    expect(change(options, 'maxmemory-samples', '7', 'slave-priority', '5', 'timeout', '6')).toBe('OK')
    expect(['maxmemory-samples', 'replica-priority', 'slave-priority', 'timeout'].map((name) => options.text(name))).toEqual([
      '7',
      '5',
      '5',
      '6',
    ])
    expect(change(options, 'maxmemory-samples', '65')).toBe('maxmemory-samples: argument must be between 1 and 64 inclusive')
    expect(change(options, 'min-replicas-to-write', '0')).toBe('OK')
    expect(change(options, 'timeout', '9', 'min-slaves-to-write', '1')).toBe('min-slaves-to-write: there are no replicas')
    expect(change(options, 'replica-priority', '1', 'slave-priority', '2')).toBe('slave-priority: duplicate parameter')
    expect(change(options, 'daemonize', 'no')).toBe("daemonize: can't set immutable config")
    // One that is refused takes back those that are not.
    expect(change(options, 'maxmemory-samples', '8', 'hz', 'x')).toBe("hz: argument couldn't be parsed into an integer")
    expect(['maxmemory-samples', 'timeout'].map((name) => options.text(name))).toEqual(['7', '6'])
  })

  it('can be written with their defaults, and read again', () => {
    const content = rewritten('', new Options({ maxclients: 7 }), { withDefaults: true })
    const again = new Options()
    again.load(parseOptionFile(content, 'f'))
    expect(again.values).toEqual(new Options({ maxclients: 7 }).values)
    expect(content).toMatch(/^hz 10$/m)
  })

  it('a password may hold any character, in the file too', () => {
    const options = new Options()
    expect(change(options, 'requirepass', 'a\n\0 "b"')).toBe('OK')
    const content = rewritten('', options)
    expect(content.split('\n')).toHaveLength(3)
    expect(parseOptionFile(content, 'f')).toEqual([{ name: 'requirepass', value: 'a\n\0 "b"' }])
  })

  it('refuses what decides where bytes go and who may connect', () => {
    const options = new Options()
    for (const name of ['logfile', 'bind', 'port', 'appendonly', 'enable-debug-command', 'allow-stock-flush', 'databases']) {
      expect(change(options, name, '1')).toBe(`${name}: can't set immutable config`)
    }
    expect(change(options, 'dir', options.text('dir')!)).toBe("dir: can't set protected config")
    // What it is already changes nothing, unless redis-server refuses that, too.
    expect(change(options, 'port', '7379', 'bind', '127.0.0.1')).toBe('OK')
    expect(change(options, 'databases', '16')).toBe("databases: can't set immutable config")
  })

  it('takes all back when one of them cannot be applied', () => {
    const options = new Options()
    const applied: string[] = []
    options.whenChanged('timeout', (seconds) => void applied.push(`timeout ${seconds}`))
    options.whenChanged('maxclients', (n) => (n > 100 ? 'the machine cannot handle so many' : null))
    expect(change(options, 'timeout', '5', 'maxclients', '1000')).toBe('maxclients: the machine cannot handle so many')
    expect(applied).toEqual(['timeout 5', 'timeout 0'])
    expect([options.values.timeout, options.values.maxclients]).toEqual([0, 10_000])
  })

  it('knows nothing of names like __proto__', () => {
    const options = new Options()
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(change(options, name, '1')).toBe(`-: Unknown option or number of arguments for CONFIG SET - '${name}'`)
      expect(options.text(name)).toBeUndefined()
    }
  })
})

describe('flags', () => {
  const values = (...argv: string[]): string =>
    readFlags(argv)
      .settings.map(({ name, value }) => `${name}=${value}`)
      .join(' | ')

  it('reads --name value, --name=value, several words, and a bare yes', () => {
    expect(values('--port', '7000', '--appendfsync=always')).toBe('port=7000 | appendfsync=always')
    expect(values('--bind', '127.0.0.1', '::1', '--hz', '20')).toBe('bind=127.0.0.1 ::1 | hz=20')
    expect(values('--allow-stock-flush', '--slowlog-log-slower-than', '-1')).toBe('allow-stock-flush=yes | slowlog-log-slower-than=-1')
    expect(readFlags(['stockd.conf', '--port', '1']).file).toBe('stockd.conf')
    expect(readFlags(['--help']).help).toBe(true)
    expect(readFlags(['-v']).version).toBe(true)
  })

  it('refuses what it does not know, with a suggestion', () => {
    expect(message(() => readFlags(['--prot', '1']))).toBe('unknown option "--prot"; did you mean --port?')
    expect(message(() => readFlags(['--append-fsync', 'no']))).toBe('unknown option "--append-fsync"; did you mean --appendfsync?')
    expect(message(() => readFlags(['--slowlog-max', '1']))).toBe('unknown option "--slowlog-max"; did you mean --slowlog-max-len?')
    expect(message(() => readFlags(['--xyzzy', '1']))).toBe('unknown option "--xyzzy"')
    expect(message(() => readFlags(['--__proto__', '1']))).toBe('unknown option "--__proto__"')
    expect(message(() => readFlags(['-p', '1']))).toBe('unknown flag "-p"; options are written --name value')
    expect(message(() => readFlags(['a', 'b']))).toBe('unexpected argument "b"; options are written --name value')
    expect(message(() => readFlags(['--port']))).toBe('--port needs a value (integer)')
  })

  it('tells of a secret, which every user of the machine could see', () => {
    for (const argv of [['--requirepass', 'x'], ['--requirepass=x']]) {
      const flags = readFlags(argv)
      expect(flags.secrets).toEqual(['requirepass'])
      expect(startOptions({ flags, environment: {} }).values.requirepass).toBe('x')
    }
    expect(readFlags(['--port', '1']).secrets).toEqual([])
  })

  it('a wrong value names the option, and hides a secret one', () => {
    expect(message(() => startOptions({ flags: readFlags(['--port', 'x']), environment: {} }))).toBe(
      `port "x": argument couldn't be parsed into an integer`,
    )
    expect(message(() => startOptions({ flags: NO_FLAGS, environment: { STOCKD_AMQP: 'a\u0001b' } }))).toBe(
      'amqp (hidden): argument must not contain control characters',
    )
  })
})

describe('environment', () => {
  it('reads STOCKD_..., and leaves alone what a container platform puts there', () => {
    const environment = {
      STOCKD_APPENDFSYNC: 'always',
      STOCKD_SLOWLOG_MAX_LEN: '5',
      STOCKD_PORT: 'tcp://10.0.0.1:7379',
      STOCKD_PORT_7379_TCP: 'tcp://10.0.0.1:7379',
      STOCKD_SERVICE_HOST: '10.0.0.1',
    }
    expect(misspeltVariables(environment)).toEqual([])
    expect(misspeltVariables({ STOCKD_NODE: '127.0.0.1:7379', STOCKD_ORDERS_STORE_FILE: '/a' })).toEqual([])
    expect(readEnvironment(environment)).toEqual([
      { name: 'appendfsync', value: 'always' },
      { name: 'slowlog-max-len', value: '5' },
    ])
  })

  it('tells what is nearly an option', () => {
    expect(misspeltVariables({ STOCKD_APPENDFSNYC: 'always', STOCKD_REQUIREPASS_FILE: '/a', STOCKD_IMAGE: 'x', APPENDFSYNC: 'y' })).toEqual(
      ['STOCKD_APPENDFSNYC is no option and has no effect; was STOCKD_APPENDFSYNC meant?'],
    )
  })

  it('a flag wins over it', () => {
    const options = startOptions({ flags: readFlags(['--hz', '30']), environment: { STOCKD_HZ: '20', STOCKD_TIMEOUT: '9' } })
    expect([options.values.hz, options.values.timeout]).toEqual([30, 9])
  })

  it('refuses a secret that is given twice', () => {
    expect(message(() => readEnvironment({ STOCKD_REQUIREPASS: 'a', STOCKD_REQUIREPASS_FILE: '/b' }))).toBe(
      'STOCKD_REQUIREPASS and STOCKD_REQUIREPASS_FILE are both set',
    )
    expect(message(() => readEnvironment({ STOCKD_REQUIREPASS_FILE: '/nothing/there' }))).toBe(
      'STOCKD_REQUIREPASS_FILE "/nothing/there" cannot be read (ENOENT)',
    )
  })
})

describe('the option file', () => {
  it('reads lines, comments and quotes', () => {
    const content = '# a comment\n\n  port 7000\nrequirepass "a \\"b\\" \\x41"\nbind 127.0.0.1 ::1\r\nlogfile \'\'\nmaxmemory 1gb\n'
    expect(parseOptionFile(content, 'f')).toEqual([
      { name: 'port', value: '7000' },
      { name: 'requirepass', value: 'a "b" A' },
      { name: 'bind', value: '127.0.0.1 ::1' },
      { name: 'logfile', value: '' },
      { name: 'maxmemory', value: '1gb' },
    ])
  })

  it.each([
    ['port 1\nprot 2', 'f:2: unknown option "prot"; did you mean port?'],
    ['port', 'f:1: port needs a value (integer)'],
    ['port 1 2', 'f:1: port takes one value (integer); quote it if it contains spaces'],
    ['save 900 1', 'f:1: save: stockd writes a log, not RDB snapshots: only "" is accepted'],
    ['daemonize no', 'f:1: "daemonize" is an option of redis-server that a node does not have: leave it out'],
    ['prot 2\nport 1\nport x', 'f:1: unknown option "prot"; did you mean port?\nf:3: port: argument couldn\'t be parsed into an integer'],
    ['dir "a', 'f:1: unbalanced quotes'],
    ['dir "a"b', 'f:1: unbalanced quotes'],
    ['port 70000', 'f:1: port: argument must be between 0 and 65535 inclusive'],
  ])('%j is refused with its line', (content, text) => {
    expect(message(() => parseOptionFile(content, 'f'))).toBe(text)
  })

  it('CONFIG REWRITE keeps comments and order, updates lines and adds what is missing', () => {
    const options = new Options()
    options.load(parseOptionFile('# mine\nhz 10\n\ntimeout 1 \n# more\nhz 30\n', 'f'))
    change(options, 'timeout', '7', 'requirepass', 'a "b"#', 'maxmemory', '1mb')
    const content = rewritten('# mine\nhz 10\n\ntimeout 1 \n# more\nhz 30\n', options)
    expect(content).toBe('# mine\nhz 30\n\ntimeout 7\n# more\n# Generated by CONFIG REWRITE\nrequirepass "a \\"b\\"#"\nmaxmemory 1048576\n')
    // Once more changes nothing, and reading it gives the options in force.
    expect(rewritten(content, options)).toBe(content)
    const again = new Options()
    again.load(parseOptionFile(content, 'f'))
    expect(again.values).toEqual(options.values)
  })

  it('CONFIG REWRITE puts no broker password of the environment into the file', () => {
    const options = new Options({ amqp: 'amqp://me:hush@mq', timeout: 7 })
    expect(rewritten('', options)).toBe('# Generated by CONFIG REWRITE\ntimeout 7\n')
    expect(rewritten('amqp amqp://mine\n', options)).toBe('amqp amqp://mine\n# Generated by CONFIG REWRITE\ntimeout 7\n')
  })

  it('what REWRITE writes is read back, whatever a text contains', () => {
    // oxlint-disable-next-line no-control-regex
    const printable = fc.string({ unit: 'grapheme' }).filter((value) => !/[\u0000-\u001f\u007f]/.test(value))
    fc.assert(
      fc.property(printable, (value) => {
        const options = new Options({ requirepass: value })
        const again = new Options()
        again.load(parseOptionFile(rewritten('', options), 'f'))
        expect(again.values.requirepass).toBe(value)
      }),
    )
  })

  it('splits words as redis.conf does', () => {
    expect(splitWords(`a  'b c' "d\\n\\x41\\"" 'it\\'s' e"f g"`)).toEqual(['a', 'b c', 'd\nA"', "it's", 'ef g'])
    expect(splitWords('"a')).toBeNull()
    expect(splitWords(`'a'b`)).toBeNull()
    expect(splitWords('   ')).toEqual([])
  })
})

describe('help', () => {
  it('names every option, its kind and its default', () => {
    for (const [name, { secret }] of OPTIONS) {
      expect(flagHelp()).toContain(secret ? `  ${variableOf(name)}[_FILE]` : `--${name} <`)
      expect(optionTable()).toContain(`| \`${name}\` |`)
    }
    expect(flagHelp()).toMatch(/--appendfsync <everysec\|always\|no> +when the log is forced to the disk \[everysec]/)
  })
})
