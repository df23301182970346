-- What every script begins with. KEYS: the stream's state, its log, its readers.
local meta, log, readers = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Numbers as text: Lua would write large ones with an exponent.
local function text(number) return string.format('%.0f', number) end
-- What a message takes beside its body, roughly.
local ENTRY_BYTES = 128
-- An inbox outlives its agent by this, in milliseconds, so that somebody finds what nobody presented.
local KEYS_OUTLIVE = 600000

-- Which life of which Redis this is: another one where it was promoted, or restarted.
local function history() return string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)') end

-- The stream, nothing if there is none and none is to be made. `fresh` names the epoch of one that is made, or of one
-- that a Redis of another history goes on with: a promoted replica, or one that was restarted, may have forgotten the last
-- numbers. A script without `fresh` changes nothing.
local function load(fresh)
    local held = redis.call('HMGET', meta,
        'epoch', 'origin', 'head', 'first', 'done', 'former', 'last', 'total', 'base', 'asked', 'noted')
    if not held[1] and not fresh then return nil end
    local origin = fresh and history()
    if not held[1] then
        redis.call('DEL', log, readers)
        return { epoch = fresh, origin = origin, head = 0, first = 1, done = 0, former = '', last = 0,
            total = 0, base = 0, asked = 0, noted = 0 }
    end
    local stream = { epoch = held[1], origin = held[2], head = tonumber(held[3]), first = tonumber(held[4]),
        done = tonumber(held[5]), former = held[6], last = tonumber(held[7]), total = tonumber(held[8]),
        base = tonumber(held[9]), asked = tonumber(held[10]), noted = tonumber(held[11] or '0') }
    if fresh and origin ~= stream.origin then
        stream.former, stream.last = stream.epoch, stream.head
        stream.epoch, stream.origin = fresh, origin
    end
    return stream
end

local function save(stream)
    redis.call('HSET', meta, 'epoch', stream.epoch, 'origin', stream.origin, 'head', text(stream.head),
        'first', text(stream.first), 'done', text(stream.done), 'former', stream.former, 'last', text(stream.last),
        'total', text(stream.total), 'base', text(stream.base), 'asked', text(stream.asked), 'noted', text(stream.noted))
end

-- The stream, if there is one. What tells an epoch to readers asks this: one that a Redis has from its past (from a snapshot,
-- or a primary that it did not follow to the end) readers may have lived in already, and past these numbers.
local function find(fresh)
    if redis.call('EXISTS', meta) == 0 then return nil end
    local stream = load(fresh)
    if stream.epoch == fresh then save(stream) end
    return stream
end

local function keep(age)
    for _, key in ipairs({ meta, log, readers }) do redis.call('PEXPIRE', key, age + KEYS_OUTLIVE) end
end

local function marks(stream)
    return stream.epoch, stream.former, text(stream.last), text(stream.first), text(stream.head)
end

-- An entry of the log: { id, { 'a', stored at, 'x', expires at, 'c', bytes so far, 'r', return address, 'b', body } }.
local function weight(entry) return #entry[2][10] + ENTRY_BYTES end

-- Lets go of all up to `seq`.
local function trim(stream, seq)
    if seq < stream.first then return end
    redis.call('XTRIM', log, 'MINID', text(seq + 1) .. '-0')
    stream.first = seq + 1
    local front = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
    stream.base = front and tonumber(front[2][6]) - weight(front) or stream.total
end

-- Whether a message was not presented, and somebody is to hear of that.
local function is_awaited(stream, entry)
    return entry[2][8] ~= '' and tonumber(string.match(entry[1], '^%d+')) > stream.done
end

-- Lets go of what is older than `age`, a thousand messages at a time; what is awaited is let go of by `expire`.
local function trim_old(stream, age)
    for turn = 1, 64 do
        local stale = 0
        -- One at first: mostly it is not, and messages may be large.
        for _, entry in ipairs(redis.call('XRANGE', log, '-', '+', 'COUNT', turn == 1 and 1 or 16)) do
            if tonumber(entry[2][2]) > now - age or is_awaited(stream, entry) then break end
            stale = tonumber(string.match(entry[1], '^%d+'))
        end
        if stale == 0 then return end
        trim(stream, stale)
    end
end

-- Each reader that lives or may come back, by its session; the others are forgotten.
local function living()
    local all, count = {}, 0
    local held = redis.call('HGETALL', readers)
    for at = 1, #held, 2 do
        local seq, generation, till, instance = string.match(held[at + 1], '^(%d+) (%d+) (%d+) (%S+)$')
        if tonumber(till) <= now then
            redis.call('HDEL', readers, held[at])
        else
            all[held[at]] = { seq = tonumber(seq), generation = tonumber(generation), till = till, instance = instance }
            count = count + 1
        end
    end
    return all, count
end

local function enter(session, reader)
    redis.call('HSET', readers, session, table.concat(
        { text(reader.seq), text(reader.generation), reader.till, reader.instance }, ' '))
end

-- Lets go of what every reader has presented; where there is none, of what no later one begins with.
local function trim_presented(stream, all)
    local least
    for _, reader in pairs(all) do
        if not least or reader.seq < least then least = reader.seq end
    end
    trim(stream, least or stream.done)
end
