-- Enters an inbox among those of its tenant that are to be looked at. KEYS: these. ARGV: the inbox, when in milliseconds,
-- how long the keys live. One that is there is looked at no later; who looked at it meanwhile sees that its time is another.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due, held = now + tonumber(ARGV[2]), redis.call('ZSCORE', KEYS[1], ARGV[1])
if held then due = math.min(due, tonumber(held) - 1) end
redis.call('ZADD', KEYS[1], string.format('%.0f', due), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
