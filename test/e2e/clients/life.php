<?php
// The life of a small shop on phpredis: prints what it was told, a line each. Arguments: port.
error_reporting(E_ALL);

$redis = new Redis();
$redis->connect('127.0.0.1', (int) $argv[1], 5.0);

function tell(string $what, mixed $told): void {
  echo $what, ': ', json_encode($told, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION), "\n";
}
function sorted(array $list): array {
  sort($list);
  return $list;
}
function sortedByKey(array $map): array {
  ksort($map);
  return $map;
}

tell('ping', $redis->ping('hello'));
tell('select', $redis->select(3));

// Product pages: strings with a time to live.
tell('set', $redis->set('page:1', '<h1>', ['nx', 'ex' => 100]));
tell('set nx', $redis->set('page:1', 'other', ['nx']));
tell('ttl', $redis->ttl('page:1') > 90);
tell('binary', $redis->set("bin\0\r\n", "\0\xff") && $redis->get("bin\0\r\n") === "\0\xff");
tell('mget', $redis->mGet(['page:1', 'page:2']));
tell('incr', [$redis->incr('n'), $redis->incrBy('n', 41), $redis->incrByFloat('f', 0.1), $redis->decr('n')]);
tell('append', [$redis->append('page:1', '!'), $redis->strlen('page:1'), $redis->getRange('page:1', 1, 3)]);
tell('wrong type', [$redis->lPush('page:1', 'x'), $redis->getLastError()]);
$redis->clearLastError();

// A cart: a hash.
tell('cart', [$redis->hSet('cart:7', 'sku:1', '2'), $redis->hIncrBy('cart:7', 'sku:2', 3), $redis->hMSet('cart:7', ['sku:3' => 1, 'sku:4' => 9])]);
tell('hgetall', sortedByKey($redis->hGetAll('cart:7')));
tell('hmget', $redis->hMGet('cart:7', ['sku:1', 'none']));
tell('hdel', [$redis->hDel('cart:7', 'sku:1', 'none'), $redis->hLen('cart:7'), $redis->hExists('cart:7', 'sku:1')]);
$iterator = null;
$seen = [];
while (($found = $redis->hScan('cart:7', $iterator)) !== false) $seen += $found;
tell('hscan', sortedByKey($seen));

// A queue: a list.
tell('queue', [$redis->rPush('queue', 'a', 'b', 'c'), $redis->lPush('queue', 'z'), $redis->lRange('queue', 0, -1)]);
tell('pops', [$redis->lPop('queue'), $redis->rPop('queue'), $redis->blPop(['none', 'queue'], 1), $redis->brpoplpush('queue', 'done', 1)]);
tell('in vain', $redis->blPop(['none'], 1));

// Who looked, and a ranking.
tell('set of', [$redis->sAdd('seen', 'ann', 'bob', 'ann'), $redis->sIsMember('seen', 'ann'), sorted($redis->sMembers('seen'))]);
$redis->sAdd('other', 'bob', 'eve');
tell('algebra', [sorted($redis->sInter('seen', 'other')), sorted($redis->sUnion('seen', 'other')), $redis->sDiffStore('left', 'seen', 'other')]);
tell('ranking', [$redis->zAdd('best', 3, 'a', 1.5, 'b', 2, 'c'), $redis->zIncrBy('best', 2, 'b'), $redis->zRevRange('best', 0, -1, true)]);
tell('by score', [$redis->zRangeByScore('best', '(2', '+inf', ['withscores' => true, 'limit' => [0, 2]]), $redis->zRank('best', 'a'), $redis->zScore('best', 'x')]);

// Together or not at all.
tell('multi', $redis->multi()->set('t', '1')->incr('t')->hGet('cart:7', 'sku:2')->exec());
$redis->watch('t');
$other = new Redis();
$other->connect('127.0.0.1', (int) $argv[1]);
$other->select(3);
$other->set('t', 'changed');
tell('watched', $redis->multi()->set('t', 'mine')->exec());
tell('pipeline', $redis->pipeline()->get('t')->lPush('page:1', 'x')->incr('n')->exec());
$redis->clearLastError();

// News. Told when three messages have come.
$publisher = popen(PHP_BINARY . ' -r ' . escapeshellarg('
  $r = new Redis(); $r->connect("127.0.0.1", ' . (int) $argv[1] . ');
  while (($r->publish("news", "one") ?: 0) < 1) usleep(5000);
  $r->publish("news:2", "two"); $r->publish("news", "three");
'), 'r');
$listener = new Redis();
$listener->connect('127.0.0.1', (int) $argv[1]);
$heard = [];
try {
  $listener->psubscribe(['news*'], function ($r, $pattern, $channel, $message) use (&$heard, $listener) {
    $heard[] = [$pattern, $channel, $message];
    if (count($heard) === 3) $listener->close();
  });
} catch (RedisException) {
  // Closing is how a listener ends here.
}
pclose($publisher);
tell('news', $heard);

// Its keys, and the end.
$iterator = null;
$keys = [];
$redis->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
while (($found = $redis->scan($iterator, '*a*', 5)) !== false) $keys = array_merge($keys, $found);
tell('scan', sorted(array_unique($keys)));
tell('types', [$redis->type('queue'), $redis->type('best'), $redis->object('encoding', 'best'), $redis->exists('queue', 'none')]);
tell('rename', [$redis->rename('seen', 'looked'), $redis->expire('looked', 1000), $redis->persist('looked'), $redis->del('looked', 'none')]);
tell('info', isset($redis->info('server')['redis_version']));
tell('unknown', [$redis->rawCommand('NOSUCH', 'x'), $redis->getLastError()]);
$redis->clearLastError();
tell('config', $redis->config('GET', 'maxmemory-policy'));
tell('db', $redis->dbSize() > 5);
tell('flush', [$redis->flushDB(), $redis->dbSize()]);
