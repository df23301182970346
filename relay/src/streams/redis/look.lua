-- ARGV: an epoch, how long keys live, how long a mid is remembered, the times that a job is given, how long it is held,
-- how long it is left to whom it was told, the most bytes, the instance that looks or nothing, for how long it counts as
-- living, how many jobs it was told of, then a session for each job that may be taken.
local fresh, remembered, given_max, hold = ARGV[1], 2 * tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local ripe, bytes_max, instance, life, told_of = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], ARGV[9], tonumber(ARGV[10])

if instance == '' then fresh = nil end
local list, told, taken, back = load(fresh), {}, {}, 0
if not list then return { '', text(now), '0', '0', '0', {}, {} } end
expire(list, remembered, told)

if instance ~= '' then
    local before = redis.call('ZSCORE', living, instance)
    -- Redis was away from this one, and so it may have been from others that live.
    if before and tonumber(before) <= now then list.calm = now + life end
    redis.call('ZADD', living, text(now + life), instance)
end
if now >= list.calm then
    local lost, any = {}, false
    for _, dead in ipairs(redis.call('ZRANGEBYSCORE', living, '-inf', text(now))) do
        lost[dead], any = true, true
        redis.call('ZREM', living, dead)
    end
    for _, seq in ipairs(any and redis.call('ZRANGE', held, 0, -1) or {}) do
        local job = job_of(seq)
        if lost[job.instance] then
            put_back(list, seq, job, given_max, told)
            back = back + 1
        end
    end
end
for _, seq in ipairs(redis.call('ZRANGEBYSCORE', held, '-inf', text(now), 'LIMIT', 0, PIECE)) do
    put_back(list, seq, job_of(seq), given_max, told)
    back = back + 1
end

local bytes, wanted = 0, #ARGV - 10
for at, seq in ipairs(wanted > 0 and redis.call('ZRANGE', waiting, 0, wanted - 1) or {}) do
    local job, body = job_of(seq), redis.call('HGET', bodies, seq)
    local is_ripe = job.given > 0 or now - tonumber(job.at) >= ripe
    bytes = bytes + #body
    if (at > told_of and not is_ripe) or (#taken > 0 and bytes > bytes_max) then break end
    local session = ARGV[10 + at]
    for _, field in ipairs({ session, job.given > 0 and '1' or '0', seq, job.at, job.expires, body }) do
        table.insert(taken, field)
    end
    job.given, job.session, job.instance = job.given + 1, session, instance
    redis.call('ZREM', waiting, seq)
    redis.call('ZREM', ends, seq)
    redis.call('ZADD', held, text(now + hold), seq)
    write(seq, job)
end
save(list)
keep(ARGV[2])
return { list.epoch, text(now), text(redis.call('ZCARD', waiting)), text(redis.call('ZCARD', held)), text(back), told, taken }
