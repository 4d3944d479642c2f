import { describe, expect, it } from 'vitest'
import { STOCKD_VERSION } from '../../../src/server/version.ts'
import { NodeStage } from './node-stage.ts'
import { FakeLog } from './stage.ts'

const WRONG = '-WRONGPASS invalid username-password pair or user is disabled.\r\n'

describe('AUTH', () => {
  it('opens the connection to everything, and HELLO can do it at once', () => {
    const stage = new NodeStage({ requirepass: 'secret' })
    const client = stage.connect()
    expect(client.ask('PING')).toBe('-NOAUTH Authentication required.\r\n')
    expect(client.ask('HELLO 3')).toMatch(/^-NOAUTH HELLO must be called with the client already authenticated/)
    expect(client.ask('AUTH secret')).toBe('+OK\r\n')
    expect(client.ask('PING')).toBe('+PONG\r\n')
    expect(client.ask('RESET')).toBe('+RESET\r\n')
    expect(client.ask('PING')).toBe('-NOAUTH Authentication required.\r\n')
    expect(client.ask('HELLO 3 AUTH default secret SETNAME me')).toMatch(/^%7\r\n/)
    expect(client.ask('CLIENT GETNAME')).toBe('$2\r\nme\r\n')
  })

  it('answers wrong passwords ever later, and closes at the third', () => {
    const stage = new NodeStage({ requirepass: 'secret' })
    const client = stage.connect()
    expect(client.ask('AUTH wrong')).toBe(WRONG)
    expect(client.ask('AUTH wrong')).toBe('')
    stage.pass(199)
    expect(client.read()).toBe('')
    stage.pass(1)
    expect(client.read()).toBe(WRONG)
    expect(client.ask('HELLO 2 AUTH default wrong')).toBe('')
    stage.pass(400)
    expect(client.read()).toBe(WRONG)
    expect(client.transport.state).toBe('ended')
    expect(stage.node.stats.authFailures).toBe(3)
  })

  it('a right password starts the count anew, and CLIENT UNBLOCK does not shorten the wait', () => {
    const stage = new NodeStage({ requirepass: 'secret' })
    const guesser = stage.connect()
    const admin = stage.connect()
    expect(admin.ask('AUTH wrong')).toBe(WRONG)
    expect(admin.ask('AUTH secret')).toBe('+OK\r\n')
    expect(admin.ask('AUTH wrong')).toBe(WRONG)
    guesser.ask('AUTH wrong')
    guesser.ask('AUTH wrong')
    expect(admin.ask(`CLIENT UNBLOCK ${guesser.session.id}`)).toBe(':0\r\n')
    expect(guesser.read()).toBe('')
  })

  it('a password that is set later does not shut out who is in', () => {
    const stage = new NodeStage()
    const client = stage.connect()
    expect(client.ask('AUTH x')).toMatch(/^-ERR AUTH <password> called without any password configured/)
    expect(client.ask('CONFIG SET requirepass secret')).toBe('+OK\r\n')
    expect(client.ask('PING')).toBe('+PONG\r\n')
    expect(stage.connect().ask('PING')).toMatch(/^-NOAUTH/)
  })
})

describe('CLIENT', () => {
  it('LIST and INFO show one line each, with the fields and order of redis', () => {
    const stage = new NodeStage()
    const client = stage.connect()
    const other = stage.connect()
    client.ask('CLIENT SETNAME me')
    client.ask('SELECT 3')
    client.ask('CLIENT SETINFO LIB-NAME ioredis')
    client.ask('CLIENT SETINFO lib-ver 6.0.0')
    stage.pass(5000)
    expect(client.text('CLIENT INFO')).toBe(
      'id=1 addr=10.0.0.1:1000 laddr=10.0.0.2:7379 fd=3 name=me age=5 idle=0 flags=N db=3 sub=0 psub=0 ssub=0 multi=-1 qbuf=26 qbuf-free=0 ' +
        'argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=26 events=r cmd=client|info user=default redir=-1 resp=2 ' +
        'lib-name=ioredis lib-ver=6.0.0\n',
    )
    expect(client.text('CLIENT LIST').match(/^id=\d+/gm)).toEqual(['id=1', 'id=2'])
    expect(client.text('CLIENT LIST ID 2').match(/^id=\d+/gm)).toEqual(['id=2'])
    expect(client.text('CLIENT LIST TYPE pubsub')).toBe('')
    expect(other.text('CLIENT LIST')).toContain('cmd=client|list')
    expect(client.ask('CLIENT SETINFO LIB-VER a\tb')).toBe('-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n')
    expect(client.ask('CLIENT SETINFO COLOR red')).toBe("-ERR Unrecognized option 'COLOR'\r\n")
  })

  it('KILL closes others at once and oneself after the reply', () => {
    const stage = new NodeStage()
    const [a, b, c] = [stage.connect(), stage.connect(), stage.connect()]
    expect(a.ask('CLIENT KILL 10.0.0.1:1001')).toBe('+OK\r\n')
    expect(b.transport.state).toBe('destroyed')
    expect(a.ask('CLIENT KILL TYPE normal')).toBe(':1\r\n')
    expect([a.transport.state, c.transport.state]).toEqual(['open', 'destroyed'])
    expect(a.ask('CLIENT KILL ID 1 SKIPME no')).toBe(':1\r\n')
    expect(a.transport.state).toBe('ended')
  })

  it('REPLY OFF and SKIP are silent', () => {
    const client = new NodeStage().connect()
    expect(client.ask('CLIENT REPLY SKIP') + client.ask('PING') + client.ask('PING')).toBe('+PONG\r\n')
    expect(client.ask('CLIENT REPLY OFF') + client.ask('PING') + client.ask('NONSENSE')).toBe('')
    expect(client.ask('CLIENT REPLY ON')).toBe('+OK\r\n')
  })

  it('MAINT_NOTIFICATIONS is refused, and nobody counts it', () => {
    const stage = new NodeStage()
    expect(stage.connect().ask('CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type none')).toMatch(/^-ERR unknown subcommand/)
    expect(stage.node.stats.errorReplies).toBe(0)
  })

  it('TRACKING can be turned off but not on', () => {
    const client = new NodeStage().connect()
    expect(client.ask('CLIENT TRACKING OFF')).toBe('+OK\r\n')
    expect(client.ask('CLIENT TRACKING ON')).toBe('-ERR Client tracking is not supported by this server\r\n')
  })

  it('names made of any bytes are taken whole or refused', () => {
    const client = new NodeStage().connect()
    expect(client.ask('CLIENT SETNAME __proto__')).toBe('+OK\r\n')
    expect(client.ask('CLIENT GETNAME')).toBe('$9\r\n__proto__\r\n')
    for (const name of ['a\nb', 'a\x00', '\xff', 'a\x7f']) expect(client.ask(`CLIENT SETNAME ${name}`)).toMatch(/^-ERR Client names cannot/)
  })
})

describe('waiting', () => {
  it('WAIT waits for replicas that never come; UNBLOCK ends it', () => {
    const stage = new NodeStage()
    const client = stage.connect()
    const admin = stage.connect()
    expect(client.ask('WAIT 0 0')).toBe(':0\r\n')
    expect(client.ask('WAIT 1 100')).toBe('')
    stage.pass(100)
    expect(client.read()).toBe(':0\r\n')
    client.ask('WAIT 1 0')
    expect(admin.ask(`CLIENT UNBLOCK ${client.session.id}`)).toBe(':1\r\n')
    expect(client.read()).toBe(':0\r\n')
    client.ask('WAIT 1 0')
    expect(admin.ask(`CLIENT UNBLOCK ${client.session.id} ERROR`)).toBe(':1\r\n')
    expect(client.read()).toBe('-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n')
    expect(client.ask('PING')).toBe('+PONG\r\n')
  })

  it('WAITAOF needs a log to wait for', () => {
    const client = new NodeStage().connect()
    expect(client.ask('WAITAOF 1 0 0')).toBe('-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n')
    expect(client.ask('WAITAOF 0 0 0')).toBe('*2\r\n:0\r\n:0\r\n')
    expect(client.ask('WAITAOF 2 0 0')).toBe('-ERR value is out of range, must be in range of 0 to 1\r\n')
    expect(client.ask('WAITAOF 0 -1 0')).toBe('-ERR value is out of range, must be positive\r\n')
  })

  it('CLIENT PAUSE WRITE holds back writes only', () => {
    const stage = new NodeStage()
    const admin = stage.connect()
    const client = stage.connect()
    expect(admin.ask('CLIENT PAUSE 1000 WRITE')).toBe('+OK\r\n')
    expect(client.ask('GET a')).toBe('$-1\r\n')
    expect(client.ask('SET a b')).toBe('')
    expect(admin.ask(`CLIENT UNBLOCK ${client.session.id}`)).toBe(':0\r\n')
    expect(admin.ask('CLIENT UNPAUSE')).toBe('+OK\r\n')
    stage.env.passAll()
    expect(client.read()).toBe('+OK\r\n')
  })
})

describe('arguments that are words', () => {
  it.each([
    'CLIENT SETNAME',
    'CLIENT KILL TYPE',
    'CONFIG GET',
    'CONFIG SET requirepass',
    'INFO',
    'LATENCY HISTORY',
    'COMMAND INFO',
    'AUTH default',
    'HELLO 3 AUTH x',
    'FCALL f 1',
    'SHUTDOWN',
  ])('%s refuses a megabyte before it makes a string of it', (words) => {
    const reply = new NodeStage().connect().ask(`${words} ${'x'.repeat(1024 * 1024)}`)
    expect(reply).toBe('-ERR the arguments of this command have at most 1048576 bytes\r\n')
  })

  it('data has any length: ECHO, PING, keys', () => {
    const client = new NodeStage().connect()
    const data = 'x'.repeat(1024 * 1024 + 1)
    expect(client.ask(`ECHO ${data}`)).toBe(`$${data.length}\r\n${data}\r\n`)
    expect(client.ask(`PING ${data}`)).toBe(`$${data.length}\r\n${data}\r\n`)
    expect(client.ask(`SET ${data} 1`)).toBe('+OK\r\n')
    expect(client.ask(`INCR ${data}`)).toBe(':2\r\n')
  })
})

describe('SHUTDOWN', () => {
  it('passes its words on and answers nothing', () => {
    const stage = new NodeStage()
    const asked: unknown[] = []
    stage.node.onShutdown = (request) => void asked.push(request)
    expect(stage.connect().ask('SHUTDOWN NOW FORCE')).toBe('')
    expect(stage.connect().ask('SHUTDOWN NOSAVE SAVE')).toBe('-ERR syntax error\r\n')
    expect(asked).toEqual([{ nosave: false, force: true, now: true }])
  })
})

describe('INFO', () => {
  it('has the sections that are asked for, in their order', () => {
    const client = new NodeStage().connect()
    const sections = (line: string): string[] => [...client.text(line).matchAll(/^# (\w+)/gm)].map((match) => match[1])
    expect(sections('INFO')).toEqual([
      ...[
        'Server',
        'Clients',
        'Memory',
        'Persistence',
        'Stats',
        'Replication',
        'CPU',
        'Modules',
        'Stock',
        'Outbox',
        'Errorstats',
        'Cluster',
        'Keyspace',
      ],
    ])
    expect(sections('INFO keyspace SERVER nothing')).toEqual(['Server', 'Keyspace'])
    expect(sections('INFO everything')).toContain('Commandstats')
    expect(sections('INFO default commandstats')).toEqual(expect.arrayContaining(['Server', 'Commandstats']))
    expect(client.text('INFO __proto__')).toBe('')
  })

  it('tells what tools of redis look for', () => {
    const client = new NodeStage().connect()
    client.ask('SET a b')
    client.ask('GET a')
    client.ask('GET nothing')
    client.ask('NONSENSE')
    const text = client.text('INFO everything')
    for (const line of [
      'redis_version:7.0.15',
      `stockd_version:${STOCKD_VERSION}`,
      'redis_mode:standalone',
      'loading:0',
      'role:master',
      'connected_clients:1',
      'blocked_clients:0',
      'keyspace_hits:1',
      'keyspace_misses:1',
      'maxmemory_policy:noeviction',
      'aof_enabled:0',
      'cluster_enabled:0',
      'errorstat_ERR:count=1',
      'db0:keys=1,expires=0,avg_ttl=0',
    ]) {
      expect(text).toContain(`${line}\r\n`)
    }
    expect(text).toMatch(/^cmdstat_get:calls=2,usec=\d+,usec_per_call=[\d.]+,rejected_calls=0,failed_calls=0\r$/m)
    // Every line is a field, a title or empty.
    for (const line of text.split('\r\n')) expect(line).toMatch(/^(# \w+|[^\s:]+:.*|)$/)
  })

  it('counts stock and its orders', () => {
    const client = new NodeStage().connect()
    client.ask('STOCK.CREATE book 10')
    client.ask('STOCK.RESERVE {u1}a ITEMS book 3')
    client.ask('STOCK.RESERVE {u2}b ITEMS book 2')
    client.ask('STOCK.CONFIRM {u2}b')
    client.ask('STOCK.RESERVE {u3}c ITEMS book 20')
    const text = client.text('INFO stock')
    for (const line of [
      'stock_skus:1',
      'stock_orders_open:1',
      'stock_units_available:5',
      'stock_units_reserved:3',
      'stock_units_sold:2',
      'stock_confirmed_units:2',
      'stock_refused_soldout:1',
      `stock_next_deadline:${1_000_000 + 900_000}`,
    ]) {
      expect(text).toContain(`${line}\r\n`)
    }
  })

  it('CONFIG GET shows where the broker is, and nobody its password', () => {
    const stage = new NodeStage({ amqp: 'amqp://me:hush@mq1:5672/shop,amqps://me:h%40u:sh@h@mq2,amqp://mq3' })
    const shown = 'amqp://me:(hidden)@mq1:5672/shop,amqps://me:(hidden)@mq2,amqp://mq3'
    expect(stage.connect().ask('CONFIG GET amqp')).toContain(shown)
    expect(stage.connect().ask('CONFIG GET am*')).toContain(shown)
  })

  it('CONFIG RESETSTAT sets the counters back', () => {
    const client = new NodeStage().connect()
    client.ask('NONSENSE')
    client.ask('GET a')
    expect(client.ask('CONFIG RESETSTAT')).toBe('+OK\r\n')
    const text = client.text('INFO stats errorstats')
    for (const line of ['keyspace_misses:0', 'total_error_replies:0', 'total_connections_received:0']) expect(text).toContain(`${line}\r\n`)
    expect(text).not.toContain('errorstat_')
  })
})

describe('SLOWLOG', () => {
  it('keeps what took long, newest first, with its arguments cut', () => {
    const stage = new NodeStage()
    const client = stage.connect()
    client.ask('CLIENT SETNAME me')
    client.ask('CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 3')
    client.ask('PING a')
    client.ask(`ECHO ${'x'.repeat(200)}`)
    client.ask('AUTH default secret')
    const text = client.ask('SLOWLOG GET 10')
    expect(text).toContain(`$147\r\n${'x'.repeat(128)}... (72 more bytes)\r\n`)
    expect(text).not.toContain('secret')
    expect(text).toContain('$13\r\n10.0.0.1:1000\r\n$2\r\nme\r\n')
    expect(client.ask('SLOWLOG LEN')).toBe(':3\r\n')
    expect(client.ask('CONFIG SET slowlog-log-slower-than -1')).toBe('+OK\r\n')
    expect(client.ask('SLOWLOG RESET')).toBe('+OK\r\n')
    expect(client.ask('SLOWLOG LEN')).toBe(':0\r\n')
  })
})

describe('passwords', () => {
  it('are not in SLOWLOG, CLIENT LIST or error texts', () => {
    const stage = new NodeStage({ 'slowlog-log-slower-than': 0, 'requirepass': 'hush1' })
    const client = stage.connect()
    let said = ''
    for (const line of [
      'AUTH hush2',
      'AUTH hush1',
      'HELLO 2 AUTH default hush1',
      'CONFIG SET requirepass hush3',
      'CONFIG SET requirepass hush4 nope 1',
    ])
      said += client.ask(line)
    stage.pass(1000)
    said += client.read() + client.ask('SLOWLOG GET 100') + client.ask('CLIENT LIST') + client.ask('INFO all')
    expect(said).toContain('(redacted)')
    expect(said).not.toMatch(/hush/)
  })
})

describe('LATENCY', () => {
  it('hears of a log that is slow to write, and of keys that took long to expire', () => {
    class SlowLog extends FakeLog {
      override write(): void {
        super.write()
        stage.env.now += 7
      }
    }
    const stage: NodeStage = new NodeStage({}, new SlowLog())
    const client = stage.connect()
    client.ask('SET a b')
    expect(client.ask('LATENCY LATEST')).toBe('*0\r\n')
    client.ask('CONFIG SET latency-monitor-threshold 5')
    client.ask('SET a b')
    expect(client.ask('LATENCY LATEST')).toMatch(/^\*1\r\n\*4\r\n\$9\r\naof-write\r\n:\d+\r\n:7\r\n:7\r\n$/)
    const { engine } = stage.node
    const advance = engine.advance.bind(engine)
    engine.advance = (now) => {
      stage.env.now += 6
      advance(now)
    }
    client.ask('PING')
    expect(client.ask('LATENCY HISTORY expire-cycle')).toMatch(/:6\r\n$/)
    client.ask('CONFIG SET latency-monitor-threshold 0')
  })

  it('tells spikes as list, graph and advice', () => {
    const stage = new NodeStage()
    const client = stage.connect()
    expect(client.text('LATENCY DOCTOR')).toMatch(/^Latency monitoring is off/)
    client.ask('CONFIG SET latency-monitor-threshold 1')
    expect(client.text('LATENCY DOCTOR')).toMatch(/^No latency spike of 1 ms or more/)
    stage.node.stats.latency.add('command', 990, 5)
    stage.node.stats.latency.add('command', 995, 9)
    stage.node.stats.latency.add('command', 1000, 2)
    expect(client.ask('LATENCY LATEST')).toBe('*1\r\n*4\r\n$7\r\ncommand\r\n:1000\r\n:2\r\n:9\r\n')
    expect(client.ask('LATENCY HISTORY command')).toBe('*3\r\n*2\r\n:990\r\n:5\r\n*2\r\n:995\r\n:9\r\n*2\r\n:1000\r\n:2\r\n')
    expect(client.text('LATENCY GRAPH command')).toBe(
      `command - high 9 ms, low 2 ms (all time high 9 ms)\n${'-'.repeat(80)}\n #\n #\n##\n##_\n\n150\n0ss\ns\n`,
    )
    expect(client.text('LATENCY DOCTOR')).toContain('1. command: 3 latency spikes (average 5 ms, worst 9 ms).')
    expect(client.ask('LATENCY RESET command nothing')).toBe(':1\r\n')
  })

  it('HISTOGRAM gives cumulative powers of two', () => {
    const stage = new NodeStage()
    const client = stage.connect()
    const ping = stage.node.stats.commands.find((command) => command.fullName === 'ping')!
    for (const micros of [1, 2, 3, 100]) ping.addTime(micros, true)
    expect(client.ask('LATENCY HISTOGRAM ping')).toBe(
      '*2\r\n$4\r\nping\r\n*4\r\n$5\r\ncalls\r\n:4\r\n$14\r\nhistogram_usec\r\n*8\r\n:1\r\n:1\r\n:2\r\n:2\r\n:4\r\n:3\r\n:128\r\n:4\r\n',
    )
    expect(client.ask('LATENCY HISTOGRAM nothing')).toBe('*0\r\n')
  })
})

describe('DEBUG', () => {
  it('is guarded, in the words of redis', () => {
    const stage = new NodeStage()
    expect(stage.connect().ask('DEBUG SLEEP 0')).toBe(
      '-ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a local connection, ' +
        'otherwise you need to set this option in the configuration file, and then restart the server.\r\n',
    )
    expect(new NodeStage({ 'enable-debug-command': 'local' }).connect().ask('DEBUG SLEEP 0')).toBe('+OK\r\n')
  })

  it('RELOAD proves that the state can be read back', () => {
    const stage = new NodeStage({ 'enable-debug-command': 'yes' })
    const client = stage.connect()
    client.ask('SET a b')
    client.ask('SET c d PX 100000')
    client.ask('STOCK.CREATE book 10')
    client.ask('STOCK.RESERVE {u1}a ITEMS book 3')
    const digest = client.ask('DEBUG DIGEST')
    expect(client.ask('DEBUG RELOAD')).toBe('+OK\r\n')
    expect(client.ask('DEBUG DIGEST')).toBe(digest)
  })

  it('DIGEST-VALUE is the same for equal values of whatever keys, and zeros for none', () => {
    const client = new NodeStage({ 'enable-debug-command': 'yes' }).connect()
    for (const [make, key] of [
      ['SET s v', 's'],
      ['HSET h f v', 'h'],
      ['RPUSH l a b', 'l'],
      ['SADD t 1 2', 't'],
      ['ZADD z 1 a', 'z'],
    ]) {
      client.ask(make)
      client.ask(`COPY ${key} ${key}2`)
      const [one, other] = client.ask(`DEBUG DIGEST-VALUE ${key} ${key}2`).match(/[0-9a-f]{40}/g)!
      expect(one).toBe(other)
      expect(one).not.toBe('0'.repeat(40))
      client.ask(`PEXPIRE ${key} 100000`)
      expect(client.ask(`DEBUG DIGEST-VALUE ${key}`)).not.toContain(one)
    }
    expect(client.ask('DEBUG DIGEST-VALUE nothing')).toBe(`*1\r\n$40\r\n${'0'.repeat(40)}\r\n`)
  })

  it('what has no honest answer says why', () => {
    const client = new NodeStage({ 'enable-debug-command': 'yes' }).connect()
    expect(client.ask('DEBUG loadaof')).toMatch(/^-ERR DEBUG LOADAOF is not supported: the log is loaded when a node starts/)
    expect(client.ask('DEBUG SEGFAULT')).toMatch(/^-ERR DEBUG SEGFAULT is not supported/)
    expect(client.ask('DEBUG QUICKLIST-PACKED-THRESHOLD 1kb')).toBe('+OK\r\n')
    expect(client.ask('DEBUG QUICKLIST-PACKED-THRESHOLD x')).toBe('-ERR argument must be a memory value\r\n')
    expect(client.ask('DEBUG CONFIG-REWRITE-FORCE-ALL')).toMatch(/without a config file/)
  })

  it('POPULATE makes keys that are not there yet, like clients would', () => {
    const stage = new NodeStage({ 'enable-debug-command': 'yes' })
    const client = stage.connect()
    client.ask('SET key:1 mine')
    expect(client.ask('DEBUG POPULATE 3')).toBe('+OK\r\n')
    expect(client.ask('DBSIZE')).toBe(':3\r\n')
    expect(client.ask('GET key:0')).toBe('$7\r\nvalue:0\r\n')
    expect(client.ask('GET key:1')).toBe('$4\r\nmine\r\n')
    expect(client.ask('DEBUG POPULATE 1 p 10') + client.ask('STRLEN p:0')).toBe('+OK\r\n:10\r\n')
    expect(client.ask('DEBUG POPULATE -1')).toMatch(/^-ERR/)
  })

  it('SET-ACTIVE-EXPIRE 0 leaves due keys until somebody looks', () => {
    const stage = new NodeStage({ 'enable-debug-command': 'yes' })
    const client = stage.connect()
    client.ask('DEBUG SET-ACTIVE-EXPIRE 0')
    client.ask('SET a b PX 10')
    stage.pass(100)
    expect(client.ask('DBSIZE')).toBe(':1\r\n')
    expect(client.ask('GET a') + client.ask('DBSIZE')).toBe('$-1\r\n:0\r\n')
    client.ask('SET a b PX 10')
    client.ask('DEBUG SET-ACTIVE-EXPIRE 1')
    stage.pass(100)
    expect(client.ask('DBSIZE')).toBe(':0\r\n')
  })
})

describe('the rest', () => {
  it('says clearly that there are no snapshots, replicas or logs', () => {
    const client = new NodeStage().connect()
    expect(client.ask('SAVE')).toMatch(/^-ERR there are no RDB snapshots/)
    expect(client.ask('BGREWRITEAOF')).toBe('-ERR there is no log to compact: appendonly is off\r\n')
    expect(client.ask('REPLICAOF 10.0.0.1 6379')).toMatch(/^-ERR this server does not replicate/)
    expect(client.ask('STOCK.AOF STATUS')).toBe('*2\r\n$7\r\nenabled\r\n:0\r\n')
    expect(client.ask('STOCK.AOF REOPEN')).toBe('-ERR there is no log: appendonly is off\r\n')
  })

  it('TIME is the time of the turn', () => {
    const stage = new NodeStage()
    stage.env.now = 1_792_000_123_456
    expect(stage.connect().ask('TIME')).toMatch(/^\*2\r\n\$10\r\n1792000123\r\n\$6\r\n456\d\d\d\r\n$/)
  })

  it('MEMORY STATS and DOCTOR answer in both protocols', () => {
    const client = new NodeStage().connect()
    client.ask('SET a b')
    expect(client.ask('MEMORY STATS')).toMatch(/^\*\d+\r\n\$14\r\npeak\.allocated\r\n/)
    client.ask('HELLO 3')
    expect(client.ask('MEMORY STATS')).toMatch(/\$4\r\ndb\.0\r\n%2\r\n/)
    expect(client.ask('MEMORY DOCTOR')).toMatch(/^=\d+\r\ntxt:/)
  })
})
