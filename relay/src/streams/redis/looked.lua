-- An inbox was looked at. KEYS: those of a tenant. ARGV: the inbox, the time it had when it was claimed, when to look again
-- in milliseconds or nothing. One that was entered meanwhile stays as it is.
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[3] == '' then return redis.call('ZREM', KEYS[1], ARGV[1]) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[3])), ARGV[1])
return 1
