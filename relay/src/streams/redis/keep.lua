-- ARGV: the grace, the most outcomes, outcomes. KEYS: what is kept of the session, the outcomes.
local instance = redis.call('HGET', KEYS[4], 'instance')
if not instance then return '' end
for at = 3, #ARGV do redis.call('RPUSH', KEYS[5], ARGV[at]) end
redis.call('LTRIM', KEYS[5], -tonumber(ARGV[2]), -1)
redis.call('PEXPIRE', KEYS[5], ARGV[1])
return instance
