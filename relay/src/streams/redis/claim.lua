-- Hands out inboxes whose time has come, for a while to nobody else. KEYS: those of a tenant. ARGV: how many at most, for
-- how long. Answers each with what its time is now.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local till, claimed = string.format('%.0f', now + tonumber(ARGV[2])), {}
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, ARGV[1])
for _, inbox in ipairs(due) do
    redis.call('ZADD', KEYS[1], till, inbox)
    table.insert(claimed, inbox)
    table.insert(claimed, till)
end
return claimed
