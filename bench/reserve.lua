-- The rival of STOCK.RESERVE: what shops write today. One order of one SKU, checked and taken in one script.
--
--   EVALSHA sha 5 available sold-per-buyer order holds events   sku buyer quantity limit hold-ms
--
-- The same guarantees as far as a script can give them: an order id is used once, a buyer's limit, never below zero; it writes the
-- hold (a hash), its deadline (a sorted set, for the job that expires holds) and an event (a stream, for the worker that stores it).
-- Field names are short, as they are where somebody has counted the bytes.

local available, taken_by_buyer, order, holds, events = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local sku, buyer = ARGV[1], ARGV[2]
local quantity, limit, hold_ms = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local state = redis.call('HGET', order, 'st')
if state then
  return {'replay', state}
end

local taken = tonumber(redis.call('HGET', taken_by_buyer, buyer) or '0')
if taken + quantity > limit then
  return {'limit', taken}
end

local left = tonumber(redis.call('GET', available) or '0') - quantity
if left < 0 then
  return {'soldout', left + quantity}
end

local time = redis.call('TIME')
local deadline = time[1] * 1000 + math.floor(time[2] / 1000) + hold_ms

redis.call('SET', available, left)
redis.call('HINCRBY', taken_by_buyer, buyer, quantity)
redis.call('HSET', order, 'st', 'R', 'sku', sku, 'by', buyer, 'n', quantity, 'exp', deadline)
redis.call('ZADD', holds, deadline, order)
redis.call('XADD', events, 'MAXLEN', '~', 10000, '*',
  'ev', 'R', 'id', order, 'sku', sku, 'by', buyer, 'n', quantity, 'exp', deadline)
return {'ok', left}
