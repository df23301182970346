-- ARGV: whether it is a topic, an epoch, the most messages, the most bytes, their age, how long a mid is remembered, how
-- many, how long a counter is, then for each message its mid, generation, counter, the counter up to which its sender has every
-- outcome, life, return address, whether its delivery is told there, and body.
-- KEYS: for each message the mids of its sender, those before, and the counter of its session.
local is_topic, fresh = ARGV[1] == '1', ARGV[2]
local count_max, bytes_max, age = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local mid_memory, mids_max, counter_memory = ARGV[6], tonumber(ARGV[7]), ARGV[8]

if not is_topic and redis.call('EXISTS', meta) == 0 then return {} end
local stream = load(fresh)
-- Who waits for the first message reads on from here, unless a Redis of another history has lost one in between.
if is_topic and stream.head == 0 and stream.former == '' then stream.former = '@' .. stream.origin end
trim_old(stream, age)

-- Two generations of mids, of which the older goes when the younger is full or has had its time.
local function remember(recent, earlier, mid, seq)
    local begun = tonumber(redis.call('HGET', recent, '@'))
    if begun and (now - begun >= tonumber(mid_memory) or redis.call('HLEN', recent) > mids_max) then
        redis.call('RENAME', recent, earlier)
        redis.call('PEXPIRE', earlier, mid_memory)
        begun = nil
    end
    redis.call('HSET', recent, mid, text(seq))
    if not begun then
        redis.call('HSET', recent, '@', text(now))
        redis.call('PEXPIRE', recent, 2 * mid_memory)
    end
end

local function is_next(key, generation, counter, settled)
    local held = redis.call('GET', key)
    local newest, last, epoch = string.match(held or '', '^(%d+) (%d+) ?(.*)$')
    if newest and tonumber(generation) < tonumber(newest) then return false end
    -- What its sender has the outcome of is not sent again, whatever is remembered of it.
    if settled ~= '' then return tonumber(counter) == math.max(tonumber(last or 0), tonumber(settled)) + 1 end
    if not newest then return true end
    -- What was accepted and lost with the end of an epoch is not sent again: behind it the session goes on.
    if epoch ~= stream.epoch then return tonumber(counter) > tonumber(last) end
    return tonumber(counter) == tonumber(last) + 1
end

local function count(key, generation, counter)
    redis.call('SET', key, generation .. ' ' .. counter .. ' ' .. stream.epoch, 'PX', counter_memory)
end

local function is_full(bytes)
    local held = stream.head - stream.first + 1
    return held > 0 and (held >= count_max or stream.total - stream.base + bytes > bytes_max)
end

-- What only sessions had not presented that have ended is in nobody's way.
local looked = is_topic
local function has_room(bytes)
    if not looked and is_full(bytes) then
        looked = true
        trim_presented(stream, (living()))
    end
    return not is_full(bytes)
end

local function make_room()
    local over = stream.head - count_max
    if over >= stream.first then trim(stream, over) end
    while stream.first < stream.head and stream.total - stream.base > bytes_max do trim(stream, stream.first) end
end

local is_awaited_here = false
local function store(mids, mids_before, counted, mid, generation, counter, settled, life, return_to, hears, body)
    local known = redis.call('HGET', mids, mid) or redis.call('HGET', mids_before, mid)
    local is_counted = counter ~= ''
    local is_taken = not is_counted or is_next(counted, generation, counter, settled)
    if known then
        -- It may have come by another session, or while nothing was remembered of this one: what follows it is the next.
        if is_counted and is_taken then count(counted, generation, counter) end
        return (tonumber(known) <= stream.done and 'delivered ' or 'repeat ') .. known
    end
    if not is_taken then return 'disorder 0' end
    local bytes = #body + ENTRY_BYTES
    if not is_topic and not has_room(bytes) then
        -- What follows it may not overtake it, also where nothing is remembered of the session.
        if is_counted and redis.call('EXISTS', counted) == 0 then count(counted, generation, text(counter - 1)) end
        return 'full 0'
    end
    stream.head, stream.total = stream.head + 1, stream.total + bytes
    if hears == '1' then stream.asked = stream.head end
    if return_to ~= '' then is_awaited_here = true end
    local expires = life == '' and '0' or text(now + life)
    redis.call('XADD', log, text(stream.head) .. '-0',
        'a', text(now), 'x', expires, 'c', text(stream.total), 'r', return_to, 'b', body)
    remember(mids, mids_before, mid, stream.head)
    if is_counted then count(counted, generation, counter) end
    if is_topic then make_room() end
    return 'stored ' .. text(stream.head)
end

local told = {}
for message = 1, (#ARGV - 8) / 8 do
    local key, argument = 3 * message, 8 * message
    table.insert(told, store(KEYS[key + 1], KEYS[key + 2], KEYS[key + 3], ARGV[argument + 1], ARGV[argument + 2],
        ARGV[argument + 3], ARGV[argument + 4], ARGV[argument + 5], ARGV[argument + 6], ARGV[argument + 7],
        ARGV[argument + 8]))
end
-- Its agent may never come back: somebody looks when the first has had its time, and again if nobody did.
local due = ''
if is_awaited_here and stream.noted + KEYS_OUTLIVE < now then
    local life = math.max(math.min(age, redis.call('PTTL', meta) - KEYS_OUTLIVE), 0)
    stream.noted, due = now + life, text(life)
end
save(stream)
-- An inbox lives by its agent alone; what is in it has its time.
redis.call('PEXPIRE', log, age + (is_topic and 0 or KEYS_OUTLIVE))
if is_topic then redis.call('PEXPIRE', meta, age) end

local instances, known = {}, {}
if not is_topic then
    for _, reader in pairs((living())) do
        if not known[reader.instance] then table.insert(instances, reader.instance) end
        known[reader.instance] = true
    end
end
local epoch, former, last, first, head = marks(stream)
return { epoch, former, last, first, head, table.concat(instances, ' '), due, unpack(told) }
