-- What every script on the pending list of a group begins with. KEYS: its state, what is known of each job, their bodies,
-- those that wait by number, the same by when they fail, those in hand by until when, the instances with members by until
-- when they count as living, those that failed lately by when.
local meta, records, bodies, waiting, ends, held, living, failed = unpack(KEYS, 1, 8)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Numbers as text: Lua would write large ones with an exponent.
local function text(number) return string.format('%.0f', number) end
-- What a job takes beside its body, roughly.
local JOB_BYTES = 256
-- Jobs that are gone through at a time.
local PIECE = 128

-- The list, nothing if there is none and none is to be made. `fresh` names the epoch of one that is made, or of one that a
-- Redis of another history goes on with, as of a stream.
local function load(fresh)
    local kept = redis.call('HMGET', meta, 'epoch', 'origin', 'head', 'former', 'last', 'bytes', 'calm')
    if not kept[1] and not fresh then return nil end
    local origin = fresh and string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
    if not kept[1] then
        redis.call('DEL', unpack(KEYS, 2, 8))
        return { epoch = fresh, origin = origin, head = 0, former = '', last = 0, bytes = 0, calm = 0 }
    end
    local list = { epoch = kept[1], origin = kept[2], head = tonumber(kept[3]), former = kept[4],
        last = tonumber(kept[5]), bytes = tonumber(kept[6]), calm = tonumber(kept[7]) }
    if fresh and origin ~= list.origin then
        list.former, list.last, list.epoch, list.origin = list.epoch, list.head, fresh, origin
    end
    return list
end

local function save(list)
    redis.call('HSET', meta, 'epoch', list.epoch, 'origin', list.origin, 'head', text(list.head),
        'former', list.former, 'last', text(list.last), 'bytes', text(list.bytes), 'calm', text(list.calm))
end

local function keep(life)
    for at = 1, 8 do redis.call('PEXPIRE', KEYS[at], life) end
end

-- A job is written as: stored at, expires at, fails at, times given, bytes, session, instance, return address.
local function job_of(seq)
    local record = redis.call('HGET', records, seq)
    if not record then return nil end
    local at, expires, fails, given, bytes, session, instance, return_to =
        string.match(record, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%S+) (%S+) (.*)$')
    return { at = at, expires = expires, fails = fails, given = tonumber(given), bytes = tonumber(bytes),
        session = session, instance = instance, return_to = return_to }
end

local function write(seq, job)
    redis.call('HSET', records, seq, table.concat({ job.at, job.expires, job.fails, text(job.given), text(job.bytes),
        job.session, job.instance, job.return_to }, ' '))
end

local function let_go(list, seq, job)
    redis.call('HDEL', records, seq)
    redis.call('HDEL', bodies, seq)
    redis.call('ZREM', waiting, seq)
    redis.call('ZREM', ends, seq)
    redis.call('ZREM', held, seq)
    list.bytes = list.bytes - job.bytes
end

local function fail(list, seq, job, told)
    let_go(list, seq, job)
    redis.call('ZADD', failed, text(now), seq)
    if job.return_to ~= '' then table.insert(told, 'e ' .. job.return_to) end
end

-- A job that was in hand waits again, unless it was given too often.
local function put_back(list, seq, job, given_max, told)
    if job.given >= given_max then return fail(list, seq, job, told) end
    redis.call('ZREM', held, seq)
    redis.call('ZADD', waiting, seq, seq)
    redis.call('ZADD', ends, job.fails, seq)
    write(seq, job)
end

-- Lets go of what has waited too long, some at a time, and of what is remembered too long.
local function expire(list, remembered, told)
    for _, seq in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', text(now), 'LIMIT', 0, PIECE)) do
        fail(list, seq, job_of(seq), told)
    end
    redis.call('ZREMRANGEBYSCORE', failed, '-inf', text(now - remembered))
end
