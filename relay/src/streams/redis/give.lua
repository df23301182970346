-- ARGV: an epoch, the most jobs, the most bytes, the age of jobs, how long keys live, how long a mid is remembered, how
-- many, then for each job its mid, life, return address and body. KEYS: for each job the mids of its sender, those before.
local fresh, count_max, bytes_max, age = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local mid_memory, mids_max = tonumber(ARGV[6]), tonumber(ARGV[7])

if redis.call('EXISTS', meta) == 0 then return {} end
local list, told, fates = load(fresh), {}, {}
expire(list, 2 * mid_memory, told)
redis.call('ZREMRANGEBYRANK', failed, 0, -mids_max - 1)
local instances = redis.call('ZRANGEBYSCORE', living, '(' .. text(now), '+inf')

-- Two generations of mids, of which the older goes when the younger is full or has had its time.
local function remember(recent, earlier, mid, seq)
    local begun = tonumber(redis.call('HGET', recent, '@'))
    if begun and (now - begun >= mid_memory or redis.call('HLEN', recent) > mids_max) then
        redis.call('RENAME', recent, earlier)
        redis.call('PEXPIRE', earlier, mid_memory)
        begun = nil
    end
    redis.call('HSET', recent, mid, seq)
    if not begun then
        redis.call('HSET', recent, '@', text(now))
        redis.call('PEXPIRE', recent, 2 * mid_memory)
    end
end

local function store(mids, mids_before, mid, life, return_to, body)
    local known = redis.call('HGET', mids, mid) or redis.call('HGET', mids_before, mid)
    if known then
        if redis.call('HEXISTS', records, known) == 1 then return 'repeat ' .. known end
        return (redis.call('ZSCORE', failed, known) and 'expired ' or 'delivered ') .. known
    end
    if #instances == 0 then return 'nobody 0' end
    local bytes, count = #body + JOB_BYTES, redis.call('HLEN', records)
    if count > 0 and (count >= count_max or list.bytes + bytes > bytes_max) then return 'full 0' end
    list.head, list.bytes = list.head + 1, list.bytes + bytes
    local seq = text(list.head)
    local expires = life == '' and 0 or now + tonumber(life)
    local fails = text(life == '' and now + age or math.min(expires, now + age))
    write(seq, { at = text(now), expires = text(expires), fails = fails, given = 0, bytes = bytes, session = '-',
        instance = '-', return_to = return_to })
    redis.call('HSET', bodies, seq, body)
    redis.call('ZADD', waiting, seq, seq)
    redis.call('ZADD', ends, fails, seq)
    remember(mids, mids_before, mid, seq)
    return 'stored ' .. seq
end

for job = 1, (#ARGV - 7) / 4 do
    local key, argument = 7 + 2 * job, 4 + 4 * job
    table.insert(fates, store(KEYS[key], KEYS[key + 1], ARGV[argument], ARGV[argument + 1], ARGV[argument + 2],
        ARGV[argument + 3]))
end
save(list)
keep(ARGV[5])
return { table.concat(instances, ' '), fates, told }
