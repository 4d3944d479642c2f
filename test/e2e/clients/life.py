"""The life of a small shop on redis-py: prints what it was told, a line each. Arguments: port."""

import json
import sys
import threading

import redis

port = int(sys.argv[1])
pool = redis.ConnectionPool(host="127.0.0.1", port=port, db=3, decode_responses=True, socket_timeout=5)
r = redis.Redis(connection_pool=pool)


def tell(what, told):
    print(f"{what}: {json.dumps(told, default=sorted)}")


def refused(run):
    try:
        return run()
    except redis.RedisError as error:
        return f"{type(error).__name__}: {error}"


tell("ping", r.ping())

# Product pages: strings with a time to live.
tell("set", [r.set("page:1", "<h1>", nx=True, ex=100), r.set("page:1", "other", nx=True), r.ttl("page:1") > 90])
raw = redis.Redis(host="127.0.0.1", port=port, db=3)
tell("binary", [raw.set(b"bin\0\r\n", b"\0\xff"), raw.get(b"bin\0\r\n") == b"\0\xff"])
tell("mget", r.mget("page:1", "page:2"))
tell("incr", [r.incr("n"), r.incrby("n", 41), r.incrbyfloat("f", 0.1), r.decr("n")])
tell("append", [r.append("page:1", "!"), r.strlen("page:1"), r.getrange("page:1", 1, 3), r.getex("page:1", persist=True), r.ttl("page:1")])
tell("wrong type", refused(lambda: r.lpush("page:1", "x")))

# A cart: a hash.
tell("cart", [r.hset("cart:7", mapping={"sku:1": 2, "sku:2": 3}), r.hincrby("cart:7", "sku:2", 3), r.hsetnx("cart:7", "sku:3", 1)])
tell("hgetall", sorted(r.hgetall("cart:7").items()))
tell("hmget", [r.hmget("cart:7", "sku:1", "none"), r.hdel("cart:7", "sku:1", "none"), r.hlen("cart:7"), r.hexists("cart:7", "sku:1")])
tell("hscan", sorted(r.hscan_iter("cart:7")))

# A queue: a list.
tell("queue", [r.rpush("queue", "a", "b", "c"), r.lpush("queue", "z"), r.lrange("queue", 0, -1), r.lpos("queue", "c")])
tell("pops", [r.lpop("queue"), r.rpop("queue"), r.blpop(["none", "queue"], 1), r.brpoplpush("queue", "done", 1)])
tell("in vain", r.blpop("none", 0.05))
tell("moved", [r.rpush("queue", "x", "y"), r.lmove("queue", "done", "LEFT", "RIGHT"), r.lrange("done", 0, -1)])

# Who looked, and a ranking.
tell("set of", [r.sadd("seen", "ann", "bob", "ann"), r.sismember("seen", "ann"), r.smembers("seen"), r.smismember("seen", "ann", "eve")])
r.sadd("other", "bob", "eve")
tell("algebra", [r.sinter("seen", "other"), r.sunion("seen", "other"), r.sdiffstore("left", "seen", "other"), r.sintercard(2, ["seen", "other"])])
tell("ranking", [r.zadd("best", {"a": 3, "b": 1.5, "c": 2}), r.zincrby("best", 2, "b"), r.zrevrange("best", 0, -1, withscores=True)])
tell("by score", [r.zrangebyscore("best", "(2", "+inf", 0, 2, withscores=True), r.zrank("best", "a"), r.zscore("best", "x"), r.zpopmin("best")])
tell("blocking", [r.bzpopmax(["none", "best"], 1), r.zrange("best", 0, -1, byscore=False, withscores=True)])

# Together or not at all.
with r.pipeline() as pipe:
    tell("multi", pipe.set("t", 1).incr("t").hget("cart:7", "sku:2").execute())
with r.pipeline() as pipe:
    tell("error inside", pipe.set("t", 1).lpush("t", "x").get("t").execute(raise_on_error=False)[0::2])
with r.pipeline() as pipe:
    pipe.watch("t")
    r.set("t", "changed")
    pipe.multi()
    pipe.set("t", "mine")
    tell("watched", refused(pipe.execute))
attempts = []


def count(pipe):
    attempts.append(pipe.get("t"))
    if len(attempts) < 3:
        r.set("t", f"changed {len(attempts)}")
    pipe.multi()
    pipe.set("t", "mine")


tell("transaction", [r.transaction(count, "t"), attempts, r.get("t")])
tell("pipeline", r.pipeline(transaction=False).get("t").incr("n").hgetall("none").execute())

# News.
listener = r.pubsub()
listener.psubscribe("news*")
listener.subscribe("offers")
heard = []


def publish():
    other = redis.Redis(connection_pool=pool)
    other.publish("news", "one")
    other.publish("offers", "two")
    other.publish("news:2", "three")


for message in listener.listen():
    heard.append([message["type"], message["pattern"], message["channel"], message["data"]])
    if len(heard) == 2:
        threading.Thread(target=publish).start()
    if len(heard) == 5:
        break
tell("news", heard)
tell("channels", [r.pubsub_channels(), r.pubsub_numsub("offers", "none"), r.pubsub_numpat()])
listener.punsubscribe()
listener.unsubscribe()
tell("unsubscribed", sorted(str(listener.handle_message(listener.parse_response())) for _ in range(2)))
listener.close()

# Its keys, and the end.
tell("scan", sorted(set(r.scan_iter("*a*", count=5))))
tell("types", [r.type("queue"), r.type("best"), r.object("encoding", "best"), r.exists("queue", "none")])
tell("rename", [r.rename("seen", "looked"), r.expire("looked", 1000), r.persist("looked"), r.copy("looked", "copied"), r.delete("looked", "none")])
tell("info", ["redis_version" in r.info(), "cmdstat_get" in r.info("commandstats")])
tell("unknown", refused(lambda: r.execute_command("NOSUCH", "x")))
tell("config", r.config_get("maxmemory-policy"))
tell("client", [r.client_setname("shop"), r.client_getname(), any(c["name"] == "shop" for c in r.client_list())])
with r.monitor() as monitor:
    r.set("monitored", "1")
    tell("monitor", [monitor.next_command()["command"], monitor.connection is not None])
tell("memory", r.memory_usage("t") > 0)
tell("slowlog", [isinstance(r.slowlog_get(5), list), r.slowlog_reset()])
tell("acl", [r.acl_whoami(), "string" in r.acl_cat()])
tell("flush", [r.flushdb(), r.dbsize()])
