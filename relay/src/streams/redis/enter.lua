-- Enters a topic among those of its tenant that have a stream. KEYS: these. ARGV: the topic, how long the entry holds, the
-- most topics. Answers whether there was room.
local topics, topic, life = KEYS[1], ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', topics, '-inf', string.format('%.0f', now))
if not redis.call('ZSCORE', topics, topic) and redis.call('ZCARD', topics) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', topics, string.format('%.0f', now + life), topic)
redis.call('PEXPIRE', topics, ARGV[2])
return 1
