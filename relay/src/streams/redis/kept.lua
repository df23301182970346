-- KEYS: the outcomes.
local outcomes = redis.call('LRANGE', KEYS[4], 0, -1)
redis.call('DEL', KEYS[4])
return outcomes
