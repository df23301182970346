-- ARGV: the session, its generation. KEYS: what is kept of it.
if redis.call('HGET', KEYS[4], 'generation') ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[4])
return redis.call('HDEL', readers, ARGV[1])
