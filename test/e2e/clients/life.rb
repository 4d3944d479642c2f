# The life of a small shop on redis-rb: prints what it was told, a line each. Arguments: port.
require 'json'
require 'redis'

port = Integer(ARGV[0])
connect = -> { Redis.new(host: '127.0.0.1', port: port, db: 3, timeout: 5, reconnect_attempts: 0) }
redis = connect.call

def tell(what, told)
  puts "#{what}: #{JSON.generate(told)}"
end

def refused
  yield
rescue Redis::BaseError => e
  e.message
end

tell 'ping', redis.ping

# Product pages: strings with a time to live.
tell 'set', [redis.set('page:1', '<h1>', nx: true, ex: 100), redis.set('page:1', 'other', nx: true), redis.ttl('page:1') > 90]
tell 'binary', [redis.set("bin\0\r\n", "\0\xff".b), redis.get("bin\0\r\n").b == "\0\xff".b]
tell 'mget', [redis.mget('page:1', 'page:2'), redis.mapped_mget('page:1', 'none')]
tell 'incr', [redis.incr('n'), redis.incrby('n', 41), redis.incrbyfloat('f', 0.1), redis.decr('n')]
tell 'append', [redis.append('page:1', '!'), redis.strlen('page:1'), redis.getrange('page:1', 1, 3), redis.getex('page:1', persist: true), redis.ttl('page:1')]
tell 'wrong type', refused { redis.lpush('page:1', 'x') }

# A cart: a hash.
tell 'cart', [redis.hset('cart:7', 'sku:1', 2, 'sku:2', 3), redis.hincrby('cart:7', 'sku:2', 3), redis.mapped_hmset('cart:7', 'sku:3' => 1)]
tell 'hgetall', redis.hgetall('cart:7').sort
tell 'hmget', [redis.hmget('cart:7', 'sku:1', 'none'), redis.hdel('cart:7', 'sku:1', 'none'), redis.hlen('cart:7'), redis.hexists('cart:7', 'sku:1')]
tell 'hscan', redis.hscan_each('cart:7').to_a.sort

# A queue: a list.
tell 'queue', [redis.rpush('queue', %w[a b c]), redis.lpush('queue', 'z'), redis.lrange('queue', 0, -1), redis.lpos('queue', 'c')]
tell 'pops', [redis.lpop('queue'), redis.rpop('queue'), redis.blpop('none', 'queue', timeout: 1), redis.brpoplpush('queue', 'done', timeout: 1)]
tell 'in vain', redis.blpop('none', timeout: 0.05)
tell 'moved', [redis.rpush('queue', %w[x y]), redis.lmove('queue', 'done', 'LEFT', 'RIGHT'), redis.lrange('done', 0, -1)]

# Who looked, and a ranking.
tell 'set of', [redis.sadd('seen', %w[ann bob ann]), redis.sismember('seen', 'ann'), redis.smembers('seen').sort, redis.smismember('seen', 'ann', 'eve')]
redis.sadd('other', %w[bob eve])
tell 'algebra', [redis.sinter('seen', 'other'), redis.sunion('seen', 'other').sort, redis.sdiffstore('left', 'seen', 'other')]
tell 'ranking', [redis.zadd('best', [[3, 'a'], [1.5, 'b'], [2, 'c']]), redis.zincrby('best', 2, 'b'), redis.zrevrange('best', 0, -1, with_scores: true)]
tell 'by score', [redis.zrangebyscore('best', '(2', '+inf', with_scores: true, limit: [0, 2]), redis.zrank('best', 'a'), redis.zscore('best', 'x'), redis.zpopmin('best')]
tell 'blocking', redis.bzpopmax('none', 'best', timeout: 1)

# Together or not at all.
tell 'multi', redis.multi { |t| t.set('t', 1); t.incr('t'); t.hget('cart:7', 'sku:2') }
tell 'error inside', refused { redis.multi { |t| t.set('t', 1); t.lpush('t', 'x') } }
redis.watch('t') do
  connect.call.set('t', 'changed')
  tell 'watched', redis.multi { |t| t.set('t', 'mine') }
end
tell 'unwatched', redis.unwatch
tell 'pipeline', redis.pipelined { |p| p.get('t'); p.incr('n'); p.hgetall('none') }

# News. Told when three messages have come.
heard = []
publisher = Thread.new do
  other = connect.call
  Thread.pass while other.publish('news', 'one').zero?
  other.publish('news:2', 'two')
  other.publish('news', 'three')
end
connect.call.psubscribe('news*') do |on|
  on.pmessage do |pattern, channel, message|
    heard << [pattern, channel, message]
    Thread.current[:done] = heard.size == 3
    raise Redis::BaseError, 'enough' if heard.size == 3
  end
rescue Redis::BaseError
end rescue nil
publisher.join
tell 'news', heard
tell 'channels', redis.pubsub(:numsub, 'none')

# Its keys, and the end.
tell 'scan', redis.scan_each(match: '*a*', count: 5).to_a.uniq.sort
tell 'types', [redis.type('queue'), redis.type('best'), redis.object('encoding', 'best'), redis.exists('queue', 'none'), redis.exists?('none')]
tell 'rename', [redis.rename('seen', 'looked'), redis.expire('looked', 1000), redis.persist('looked'), redis.copy('looked', 'copied'), redis.del('looked', 'none')]
tell 'info', [redis.info.key?('redis_version'), redis.info(:commandstats).key?('get')]
tell 'unknown', refused { redis.call('NOSUCH', 'x') }
tell 'config', redis.config(:get, 'maxmemory-policy')
tell 'client', [redis.client(:setname, 'shop'), redis.client(:getname), redis.client(:list).any? { |c| c['name'] == 'shop' }]
tell 'flush', [redis.flushdb, redis.dbsize]
