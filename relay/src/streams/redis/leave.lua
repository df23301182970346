-- ARGV: the instance.
return redis.call('ZREM', living, ARGV[1])
